import type { Outbox } from "../../../src/index.ts"
import { batchAt } from "../../../src/inspect/batches.ts"
import { idsThatBegin } from "../../../src/inspect/id-search.ts"
import { readingOutbox } from "../../../src/store/reading.ts"
import type { Notes } from "./notes.ts"
import { saveNotes } from "./notes.ts"
import { hears, hour, minute, openWorld, type Situation } from "./world.ts"

/**
 * Dead letters: `{dead}` has dependents three levels below it, `{alone}` none; `{retried}` was recorded again and went
 * through, `{discarded}` was given up. The host was killed while a POST was on its way: its lease stands, and the -wal
 * holds what was not copied back. The service is up again.
 */
export async function dead(home: string): Promise<Situation> {
  const world = await openWorld(home, 26 * hour, 4)
  const share = await world.serve()
  const service = `${share.url}/rpc/share`
  for (const name of ["Recipes", "Taxes", "Holidays"]) share.rules.taken.add(name)
  const outbox = world.open()
  await world.feed(outbox, "short-text", share)
  const api = outbox.stub<Notes>(service, { name: "notes", create: { session_id: "notes" } })
  const notes = outbox.stream("notes")
  saveNotes(notes, 6)
  const root = family(outbox, "Recipes", ["Bread", "Soup", "Pickles"])
  await world.ago(25 * hour)
  const retried = family(outbox, "Taxes", ["Invoices 2025"])
  const discarded = family(outbox, "Holidays", ["Trip to Oslo"])
  const alone = notes.record({ method: "note.pin", args: ["note_3"], actorId: "ada" })
  const long = notes.record({ method: "note.put", key: "note/5", args: [{ id: "note_5", text: "very ".repeat(900) }] })
  await world.ago(24 * hour)
  // Added while nobody has decided about the folder: rejected too.
  api["comment.put"](root.note.id, "where is this one?")
  share.rules.taken.delete("Taxes")
  const [again] = notes.retry(outbox.opId(retried.folder))
  notes.discard(outbox.opId(discarded.folder))
  const intents = { dead: root.folder, note: root.note, leaf: root.leaf, retried: retried.folder, alone, long }
  for (const [name, intent] of Object.entries(intents)) world.names[name] = outbox.opId(intent)
  Object.assign(world.names, { discarded: outbox.opId(discarded.folder), again: again!.as_op_id, stream: "notes" })
  world.names.batch = batchOf(world.db, world.names.dead!)
  await world.ago(3 * minute)
  await outbox.close({ flush_ms: 0 })

  share.behind(() => new Promise(() => {}))
  const killed = world.host({ notes: 3 })
  await hears(killed, "sent")
  killed.signal("SIGKILL")
  await killed.exited
  share.behind()
  return world.situation()
}

/** A folder with notes; the first has an attachment with a comment in one unit, and depends on the one before. */
function family(outbox: Outbox, name: string, titles: string[]) {
  const api = outbox.stub<Notes>(outbox.stream("notes").ref().service, { name: "notes" })
  const folder = api["folder.create"]({ name })
  const notes = titles.map((title) => api["note.create"]({ folder: folder.id, title, text: `About ${title}.` }))
  const note = notes[0]!
  const leaf = outbox.unit(() => {
    const attachment = api["attachment.put"](note.id, `${name.toLowerCase()}.jpg`)
    api["note.tag"](note.id, "photo")
    return api["comment.put"](attachment.id, "taken in May")
  })
  return { folder, note, leaf }
}

/** The batch that an op was sent in. */
function batchOf(file: string, op_id: string): string {
  return readingOutbox(file, (db) => batchAt(db, idsThatBegin(db, op_id, 1)[0]!.seq)!.batch_id)
}
