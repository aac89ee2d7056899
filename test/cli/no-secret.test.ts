/** Whatever a service says of others, no command prints a secret of the outbox. */
import { expect, test } from "bun:test"
import { Rejection, serveShareService } from "../../src/service/index.ts"
import { openOutbox } from "../../src/outbox.ts"
import { tempDir } from "../temp-dir.ts"
import { run } from "./run.ts"

/** Each as a person and as a script would ask. */
const commands: string[][] = [
  ["status"],
  ["streams"],
  ["ops"],
  ["batches"],
  ["dead", "list"],
  ["dead", "show", "0"],
  ["show", "0"],
  ["ref", "show"],
  ["watch", "--count", "1"],
  ["doctor", "--offline"],
  ["export"],
  ["export", "--all"],
  ["flush", "--timeout", "5", "--header-env", "x-key=GATEWAY_KEY"],
  ["unblock", "--all"],
  ["dead", "retry", "--all"],
  ["dead", "discard", "--all", "--yes"],
]

const env = { GATEWAY_KEY: "a_key_of_the_gateway" }

test("a secret that a service repeats to another stream, and that names and keys hold, is in nothing that is printed", async () => {
  await using dir = tempDir()
  const secrets: string[] = [env.GATEWAY_KEY]
  const methods = {
    refuse: () => {
      throw new Rejection("no", `not with ${secrets.join(" nor with ")}`)
    },
  }
  const service = serveShareService({ file: dir.file("service.db"), port: 0, methods })
  try {
    const outbox = openOutbox(dir.file(), { headers: () => ({ "x-key": env.GATEWAY_KEY }) })
    const url = `${service.url}/rpc/share`
    const refs = [outbox.newRef(url), outbox.newRef(url)]
    secrets.push(...refs.map(({ secret }) => secret))
    const [first, second] = refs.map(({ secret }) => secret) as [string, string]
    const notes = outbox.stream(`notes of ${first}`, refs[1]!, { create: { session_id: "notes" } })
    outbox.stream("other", refs[0]!, { create: { session_id: "other" } })
    notes.record({ method: "refuse", key: `note/${first}`, args: [second, { [first]: 1 }] })
    await outbox.flush()
    notes.record({ method: "refuse", args: [1] })
    await outbox.close({ flush_ms: 0 })
    for (const args of commands)
      for (const json of args[0] === "export" ? [[]] : [[], ["--json"]]) {
        const { out, err } = await run([...args, ...json, "--db", dir.file()], env)
        const said = out + err
        expect({ args, found: secrets.filter((secret) => said.includes(secret.slice(0, 12))) }).toEqual({
          args,
          found: [],
        })
      }
  } finally {
    await service.stop()
  }
}, 60_000)
