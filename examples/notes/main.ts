/** The first example of the README, as a program: sh script/bun.sh examples/notes/main.ts */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openOutbox } from "../../src/index.ts"
import { serveNotes, type NotesApi } from "./service.ts"

const folder = mkdtempSync(join(tmpdir(), "notes-"))
await using service = serveNotes(join(folder, "service.db"))

await using outbox = openOutbox(join(folder, "notes.db"))
// The same at every run: the stream of this name is created once, with a fresh share, and found again after.
const notes = outbox.stub<NotesApi>(`${service.url}/rpc/share`, { name: "notes", create: { session_id: "my notes" } })

const note = notes.create({ title: "Plan" })
notes.addTag(note.id, "work")
const tags = notes.addTag(note.id, "today")
const empty = notes.rename(note.id, "")
outbox.unit(() => {
  notes.rename(note.id, "Plan B")
  notes.addTag(note.id, "revised")
})

outbox.on("sent", ({ batches, ops }) => console.log(`one POST: ${ops} ops in ${batches} batch`))
outbox.on("rejected", ({ op_id, code, message }) => console.log(`dead letter ${op_id}: ${code}, ${message}`))
console.log("recorded", note)
console.log("the server made note", (await outbox.result(note)).id, "with", await outbox.result(tags), "tags")
console.log("rename:", await outbox.result(empty).catch((error: Error) => error.message))
console.log("in the service:", service.sql.all("select title from note"), service.sql.all("select tag from tag"))
