"""The subscription API: what an API's customers see and change of their own, over HTTP."""
