/** An outbox and a real service for commands that act: the service lives in the test's process, commands in theirs. */
import { openOutbox, type Outbox, type Stream } from "../../src/index.ts"
import { Rejection, serveShareService } from "../../src/service/index.ts"
import { tempDir } from "../temp-dir.ts"
import { type Ran, run } from "./run.ts"

export type CliBox = Awaited<ReturnType<typeof openCliBox>>

export async function openCliBox() {
  const dir = tempDir()
  /** Titles that the service does not take. */
  const refused = new Set<string>()
  const applied: string[] = []
  const options = {
    file: dir.file("service.db"),
    methods: {
      create(_: unknown, note: unknown) {
        const { title } = note as { title: string }
        if (refused.has(title)) throw new Rejection("title_taken", `there is a note "${title}"`)
        applied.push(title)
        return { id: title }
      },
      tag: (_: unknown, note: unknown, tag: unknown) => void applied.push(`${String(note)}#${String(tag)}`),
    },
  }
  const service = serveShareService({ ...options, port: 0 })
  const endpoint = `${service.url}/rpc/share`
  return {
    dir,
    refused,
    applied,
    endpoint,
    service,
    file: dir.file(),
    /** What a host does, and ends. */
    async host(work: (outbox: Outbox, notes: Stream) => unknown, flushes = true): Promise<void> {
      const outbox = openOutbox(dir.file())
      if (!flushes) outbox.pause()
      const known = outbox.findStream("notes")
      const notes = known ?? outbox.stream("notes", outbox.newRef(endpoint), { create: { session_id: "notes" } })
      await work(outbox, notes)
      if (flushes) await outbox.flush()
      await outbox.close({ flush_ms: 0 })
    },
    run: (...args: string[]): Promise<Ran> => run([...args, "--db", dir.file()]),
    async [Symbol.asyncDispose]() {
      await service.stop()
      await dir[Symbol.asyncDispose]()
    },
  }
}
