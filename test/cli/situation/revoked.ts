import { newHttpBatchRpcSession } from "capnweb"
import type { SturdyRef } from "../../../src/index.ts"
import type { ShareService } from "../../../src/wire/contract.ts"
import { saveNotes } from "./notes.ts"
import { hears, hour, minute, openWorld, type Situation } from "./world.ts"

/**
 * One session is blocked: its secret was rotated from elsewhere, while it went on. The others go on. A host is alive and
 * has nothing to send. `{secret}` is the new one, which lifts the block.
 */
export async function revoked(home: string): Promise<Situation> {
  const world = await openWorld(home, 5 * hour, 3)
  const share = await world.serve()
  const outbox = world.open()
  const [session] = await world.feed(outbox, "share-unshare", share, 90)
  const [other] = await world.feed(outbox, "kill9-midstream", share)
  const notes = outbox.stream("notes", outbox.newRef(`${share.url}/rpc/share`), { create: { session_id: "notes" } })
  saveNotes(notes, 8)
  await world.ago(3 * hour)
  const secret = outbox.newRef(share.url).secret
  await rotate(outbox.stream(session!).ref(), secret)
  await world.feed(outbox, "share-unshare", share)
  await world.ago(20 * minute)
  saveNotes(notes, 8, "second draft")
  await world.ago(0)
  await outbox.close({ flush_ms: 0 })

  const host = world.host({ notes: 2 })
  await hears(host, "settled")
  Object.assign(world.names, { session: session!, other: other!, stream: session!, secret })
  return world.situation([host])
}

/** As the share's owner does it from another machine. */
async function rotate(ref: SturdyRef, secret: string): Promise<void> {
  using service = newHttpBatchRpcSession<ShareService>(ref.service)
  const grant = service.redeemShare({ share_id: ref.share_id, secret: ref.secret, writer_id: "writer_of_the_owner_00" })
  await grant.share.rotateSecret({ secret })
}
