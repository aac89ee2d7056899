import { chmodSync, renameSync } from "node:fs"
import { copyDatabase } from "../../copy-database.ts"
import { saveNotes } from "./notes.ts"
import { hour, minute, openWorld, type Situation } from "./world.ts"

/**
 * The outbox was restored from a copy of an hour before, and went on: the service knew more than it, and a twin is
 * counted. Nobody is there; the host's resync hook is still to be told.
 */
export async function twins(home: string): Promise<Situation> {
  const world = await openWorld(home, 2 * hour, 6)
  const share = await world.serve()
  const copy = `${world.db}-copy`
  const lost = world.open()
  const notes = lost.stream("notes", lost.newRef(`${share.url}/rpc/share`), { create: { session_id: "notes" } })
  saveNotes(notes, 8)
  await world.ago(1.5 * hour)
  copyDatabase(world.db, copy)
  saveNotes(notes, 8, "second draft")
  await world.ago(hour)
  await lost.close({ flush_ms: 0 })
  renameSync(copy, world.db)
  chmodSync(world.db, 0o600)

  const outbox = world.open()
  saveNotes(outbox.stream("notes"), 4, "third draft")
  await world.ago(minute)
  await outbox.close({ flush_ms: 0 })
  Object.assign(world.names, { stream: "notes" })
  return world.situation()
}
