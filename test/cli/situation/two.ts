import { saveNotes } from "./notes.ts"
import { slow } from "./share-host.ts"
import { hears, hour, minute, openWorld, type Situation } from "./world.ts"

/**
 * Two hosts are alive: the first has the lease and sends 40,000 entries to a service that takes 1.5 s for each POST, so
 * for over a minute; the second records a note five times a second, and sends nothing. Both end with the situation.
 */
export async function two(home: string): Promise<Situation> {
  const world = await openWorld(home, 1 * hour, 5)
  const share = await world.serve()
  const outbox = world.open()
  const [session] = await world.feed(outbox, "short-text", share)
  const service = `${share.url}/rpc/share`
  saveNotes(outbox.stream("notes", outbox.newRef(service), { create: { session_id: "notes" } }), 8)
  outbox.stream("diary", outbox.newRef(service), { create: { session_id: "diary" } })
  await world.ago(minute)
  await world.ago(0)
  await outbox.close({ flush_ms: 0 })

  share.behind(slow(1_500))
  const sender = world.host({ entries: 40_000 })
  await hears(sender, "sent")
  const recorder = world.host({ note_every_ms: 200 })
  await hears(recorder, "open")
  Object.assign(world.names, { session: session!, stream: "diary" })
  return world.situation([sender, recorder])
}
