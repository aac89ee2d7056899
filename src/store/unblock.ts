/** A block lifted by a person or the host, with what they change so that it does not come back. */
import type { Connection } from "./connection.ts"
import { clearBlockSql, type Streams } from "./stream.ts"

export interface Unblocking {
  /** Of another capability of the same share, for one that was revoked or has expired. */
  secret?: string
  /** The service has moved: its new endpoint. */
  service?: string
  /** The service at this address is another one now, and that is meant: what is kept here is sent to it. */
  acceptServer?: boolean
}

/**
 * Lifts the block in one transaction: the next attempt is due at once, at the same service not before the time that it
 * asked for. After `server_reset` the stream goes on without what the service lost: nothing is taken for settled there
 * any more. Returns the reason of the block; undefined if there was none.
 */
export function unblock(
  connection: Connection,
  streams: Streams,
  stream_id: number,
  change: Unblocking,
): string | undefined {
  connection.assertAlone("unblock")
  return connection.transact("unblock", () => {
    const { block, secret, service, service_id, granted } = streams.get(stream_id)
    const { db, seams } = connection
    const now = seams.clock.now()
    const isOther = change.service !== undefined && change.service !== service
    // Another service asked for nothing.
    if (isOther) db.query("update sturdy_stream set retry_after_at = null where stream_id = ?").run(stream_id)
    // A stream without a block goes on with its backoff at the same service.
    if (block !== null || isOther)
      db.query(`update sturdy_stream set ${clearBlockSql}, service_fault_count = 0 where stream_id = ?1`).run(
        stream_id,
        now,
      )
    db.query(
      "update sturdy_stream set secret = ?2, service = ?3, service_id = ?4, granted = ?5 where stream_id = ?1",
    ).run(
      stream_id,
      change.secret ?? secret,
      change.service ?? service,
      // Another server knows nothing of the share: it is created there, if it was created here.
      change.acceptServer ? null : service_id,
      change.acceptServer ? 0 : granted,
    )
    // Another secret is tried before the one that a rotation has stored.
    if (change.secret !== undefined)
      db.query("update sturdy_stream set last_error = null where stream_id = ?").run(stream_id)
    // How the share is spoken of, and its id and secret there, are that server's.
    if (isOther || change.acceptServer)
      db.query(
        "update sturdy_stream set protocol = null, remote_id = null, remote_secret = null where stream_id = ?",
      ).run(stream_id)
    if (block === "server_reset") goOnWithoutLost(connection, stream_id)
    return block ?? undefined
  })
}

/** Inside a transaction. The base is the register that came with the refusal. */
export function goOnWithoutLost(connection: Connection, stream_id: number): void {
  connection.db
    .query(
      `update sturdy_stream set ${clearBlockSql}, settled_op_id = null, pruned_op_id = null, resync_owed = null
       where stream_id = ?1`,
    )
    .run(stream_id, connection.seams.clock.now())
}
