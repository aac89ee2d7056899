import { importEntries, saveNotes } from "./notes.ts"
import { maintenance } from "./share-host.ts"
import { hears, hour, minute, openWorld, type Situation } from "./world.ts"

/**
 * A backlog of thousands: the sessions' service has been down for 40 minutes, that of the diary asked for an hour of
 * silence. Some batches are frozen. A host is alive, has the lease and waits for the next attempt.
 */
export async function offline(home: string): Promise<Situation> {
  const world = await openWorld(home, 2 * hour, 2)
  const [share, diaries] = [await world.serve(), await world.serve()]
  const outbox = world.open()
  const [session] = await world.feed(outbox, "tool-calls", share)
  const notes = outbox.stream("notes", outbox.newRef(`${share.url}/rpc/share`), { create: { session_id: "notes" } })
  saveNotes(notes, 12)
  const diary = outbox.stream("diary", outbox.newRef(`${diaries.url}/rpc/share`), { create: { session_id: "diary" } })
  importEntries(outbox, diary, 400)
  await world.ago(40 * minute)

  await share.stop()
  const [longest] = await world.feed(outbox, "long-session-60", share)
  await world.ago(30 * minute)
  saveNotes(notes, 12, "on the train")
  diaries.behind(maintenance(3_600))
  importEntries(outbox, diary, 2_400)
  await world.ago(5 * minute)
  saveNotes(notes, 12, "still on the train")
  await world.ago(0)
  await outbox.close({ flush_ms: 0 })

  const host = world.host({})
  await hears(host, "lease")
  Object.assign(world.names, { session: longest!, settled: session!, stream: "notes" })
  return world.situation([host])
}
