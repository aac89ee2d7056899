import { saveNotes } from "./notes.ts"
import { hour, minute, openWorld, type Situation } from "./world.ts"

/** Everything is settled, some of it superseded, one share removed. The host has ended by itself: nobody is there. */
export async function idle(home: string): Promise<Situation> {
  const world = await openWorld(home, 3 * hour, 1)
  const share = await world.serve()
  const outbox = world.open()
  const sessions = await world.feed(outbox, "fork-and-revert", share)
  await world.ago(2 * hour)
  const notes = outbox.stream("notes", outbox.newRef(`${share.url}/rpc/share`), { create: { session_id: "notes" } })
  for (const draft of ["first draft", "second draft", "final"]) saveNotes(notes, 8, draft)
  await world.ago(90 * minute)
  saveNotes(notes, 3, "after the meeting")
  await world.feed(outbox, "short-text", share)
  await world.ago(minute)
  await outbox.close({ flush_ms: 0 })
  Object.assign(world.names, { session: sessions[0]!, stream: "notes" })
  return world.situation()
}
