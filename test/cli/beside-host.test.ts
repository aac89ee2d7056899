/** Reading beside a live host: it meets no lock, and what nobody writes to stays as it is. */
import { expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { openOutbox } from "../../src/outbox.ts"
import { serveShareService } from "../../src/service/index.ts"
import { tempDir, type TempDir } from "../temp-dir.ts"
import { startChild } from "../torture/child.ts"
import type { BusyHostSaid } from "./busy-host-fixture.ts"
import { lastJson, run } from "./run.ts"

/** Every command that only reads, each as a person and as a script would ask. */
const reading: string[][] = [
  ["status"],
  ["status", "--json"],
  ["streams"],
  ["ops"],
  ["ops", "--state", "pending", "--key", "note/*", "--json"],
  ["batches"],
  ["dead", "list"],
  ["ref", "show"],
  ["watch", "--count", "2", "--interval", "0.1"],
  ["doctor", "--offline"],
  ["export", "--redact"],
]

function servedIn(dir: TempDir) {
  const methods = { put: () => null }
  const service = serveShareService({ file: dir.file("service.db"), port: 0, methods })
  return { url: `${service.url}/rpc/share`, [Symbol.asyncDispose]: () => service.stop() }
}

test("a host that records and sends flat out meets no lock while every reading command runs", async () => {
  await using dir = tempDir()
  await using service = servedIn(dir)
  const fixture = join(import.meta.dir, "busy-host-fixture.ts")
  await using host = startChild<BusyHostSaid>(fixture, { file: dir.file(), service: service.url })
  await host.heard((said): said is BusyHostSaid & { is: "recording" } => said.is === "recording")
  const codes = new Set<number>()
  for (let round = 0; round < 2; round++)
    await Promise.all(
      reading.map(async (args) => {
        const { code, err } = await run([...args, "--db", dir.file()])
        codes.add(code)
        expect(err).not.toContain("sturdy:")
      }),
    )
  const op = lastJson((await run(["ops", "--limit", "1", "--json", "--db", dir.file()])).out)
  codes.add((await run(["show", String(op.op_id), "--db", dir.file()])).code)
  host.finish()
  const ended = await host.heard((said): said is BusyHostSaid & { is: "ended" } => said.is === "ended")
  expect([...codes]).toEqual([0])
  expect(ended.errors).toEqual([])
  expect(ended.settled).toBe(ended.recorded)
})

/** Names and bytes of everything in the directory. */
function pictureOf(dir: TempDir): Record<string, string> {
  return Object.fromEntries(
    readdirSync(dir.path)
      .toSorted()
      .map((name) => [name, Bun.hash(readFileSync(dir.file(name))).toString(16)]),
  )
}

test("an outbox that nobody writes to has the same bytes before and after every reading command", async () => {
  await using dir = tempDir()
  const outbox = openOutbox(dir.file())
  outbox.pause()
  const notes = outbox.stream("notes", outbox.newRef("http://127.0.0.1:9/rpc/share"))
  for (let n = 0; n < 300; n++) notes.record({ method: "put", key: `note/${n}`, args: [n] })
  await outbox.close({ flush_ms: 0 })
  const before = pictureOf(dir)
  for (const args of reading) expect((await run([...args, "--db", dir.file()])).code).toBe(0)
  expect(pictureOf(dir)).toEqual(before)
})
