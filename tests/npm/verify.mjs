// Reads one JSON message a line, verifies it with the npm package, and answers one JSON line each.
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const require = createRequire(import.meta.url);
const { Webhook } = require(join(process.argv[2], "standardwebhooks"));

for await (const line of createInterface({ input: process.stdin })) {
  const { body, headers, secret } = JSON.parse(line);
  const answer = { id: headers["webhook-id"] };
  try {
    answer.payload = new Webhook(secret).verify(Buffer.from(body, "base64"), headers);
  } catch (error) {
    answer.error = String(error);
  }
  console.log(JSON.stringify(answer));
}
