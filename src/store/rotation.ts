/**
 * The steps of a rotation that are on disk: the new secret is stored before anything is sent, and takes the place of the
 * old one once it has opened the share. In between it may be the only secret that does: it is forgotten only if it is
 * certain that the service will never have taken it.
 */
import type { Connection } from "./connection.ts"
import { clearBlockSql, type StreamRow, type Streams } from "./stream.ts"

export interface StoredRotation {
  /** The stream, with the secret that the rotation redeems. */
  stream: StreamRow
  next_secret: string
  /** Drawn now: nobody has sent it yet. */
  isNew: boolean
}

/** Blocks that speak of the secret: another one that opens the share lifts them. */
const ofSecret: ReadonlySet<string | null> = new Set(["revoked", "expired", "share_unknown"])

export class Rotator {
  constructor(
    readonly connection: Connection,
    readonly streams: Streams,
  ) {}

  /** Stores the new secret; or goes on with the one of a rotation that did not end. What `check` throws stores nothing. */
  begin(stream_id: number, drawn: string, check: (stream: StreamRow) => void): StoredRotation {
    this.connection.assertAlone("rotate")
    return this.connection.write("rotate", () => {
      const stream = this.streams.get(stream_id)
      check(stream)
      const { next_secret } = stream
      if (next_secret !== null) return { stream, next_secret, isNew: false }
      this.connection.db.query("update sturdy_stream set next_secret = ?2 where stream_id = ?1").run(stream_id, drawn)
      return { stream, next_secret: drawn, isNew: true }
    })
  }

  /** The new secret opens the share. Returns the reason of the block that this lifts. */
  end({ stream, next_secret }: StoredRotation, epoch: number): string | undefined {
    const { stream_id } = stream
    const { db, seams } = this.connection
    this.connection.assertAlone("end rotation")
    return this.connection.write("end rotation", () => {
      const { secret, block } = this.streams.get(stream_id)
      takeSecret(this.connection, stream_id, stream.secret, next_secret)
      // Another process may have ended it, and a person given it another one: then the block is none of ours.
      if (secret !== stream.secret && secret !== next_secret) return
      db.query("update sturdy_stream set epoch = ?2 where stream_id = ?1").run(stream_id, epoch)
      if (!ofSecret.has(block)) return
      db.query(`update sturdy_stream set ${clearBlockSql} where stream_id = ?1`).run(stream_id, seams.clock.now())
      return block ?? undefined
    })
  }

  /** The service said that the secret of the stream changes no secret: what was drawn for it opens nothing. */
  forget({ stream, next_secret }: StoredRotation): void {
    this.connection.write("forget rotation", () => {
      this.connection.db
        .query("update sturdy_stream set next_secret = null where stream_id = ?1 and secret = ?2 and next_secret = ?3")
        .run(stream.stream_id, stream.secret, next_secret)
    })
  }
}

/** Inside a transaction: the new secret takes the place of the old one, unless that was replaced meanwhile. */
export function takeSecret({ db }: Connection, stream_id: number, secret: string, next_secret: string): void {
  db.query("update sturdy_stream set secret = ?3 where stream_id = ?1 and secret = ?2").run(
    stream_id,
    secret,
    next_secret,
  )
  db.query("update sturdy_stream set next_secret = null where stream_id = ?1 and secret = ?2 and next_secret = ?2").run(
    stream_id,
    next_secret,
  )
}
