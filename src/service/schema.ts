/**
 * The service's tables, plain SQL that runs on every engine of the port: STRICT, INTEGER, no user_version. Steps are
 * only ever added at the end. `share` is the row number of the share, a short key for the tables that hold most rows.
 */
import { randomId } from "../intent/ulid.ts"
import type { Seams } from "../intent/seam.ts"
import type { Sql } from "./sql-port.ts"

const steps: readonly (readonly string[])[] = [
  [
    `CREATE TABLE service (service_id TEXT NOT NULL) STRICT`,

    // time_removed: the tombstone. position: of the last applied op. result_purged: results up to here were looked at.
    `CREATE TABLE share (
       id INTEGER PRIMARY KEY,
       share_id TEXT NOT NULL UNIQUE,
       session_id TEXT NOT NULL,
       epoch INTEGER NOT NULL,
       position INTEGER NOT NULL,
       result_purged INTEGER NOT NULL,
       time_created INTEGER NOT NULL,
       time_removed INTEGER
     ) STRICT`,

    // parent null: the root capability.
    `CREATE TABLE capability (
       id INTEGER PRIMARY KEY,
       share INTEGER NOT NULL REFERENCES share (id),
       capability_id TEXT NOT NULL UNIQUE,
       parent INTEGER REFERENCES capability (id),
       depth INTEGER NOT NULL,
       scopes TEXT NOT NULL,
       label TEXT,
       expires_at INTEGER,
       time_created INTEGER NOT NULL,
       time_revoked INTEGER
     ) STRICT`,
    `CREATE INDEX capability_share ON capability (share)`,
    `CREATE INDEX capability_parent ON capability (parent) WHERE parent IS NOT NULL`,

    // SHA-256 of every secret that the share ever had. Outlives the share.
    `CREATE TABLE capability_secret (
       share INTEGER NOT NULL REFERENCES share (id),
       secret_hash BLOB NOT NULL,
       capability INTEGER NOT NULL REFERENCES capability (id),
       retired INTEGER NOT NULL,
       PRIMARY KEY (share, secret_hash)
     ) STRICT, WITHOUT ROWID`,

    // The register of each writer.
    `CREATE TABLE writer (
       share INTEGER NOT NULL REFERENCES share (id),
       writer_id TEXT NOT NULL,
       cursor INTEGER NOT NULL,
       head_op_id BLOB NOT NULL,
       PRIMARY KEY (share, writer_id)
     ) STRICT, WITHOUT ROWID`,

    // The full op_id log, for the life of the share: position = applied, code = rejected, neither = superseded.
    // content: first half of the SHA-256 of what the op says; null if it was only named by the op that replaced it.
    `CREATE TABLE op (
       share INTEGER NOT NULL REFERENCES share (id),
       op_id BLOB NOT NULL,
       content BLOB,
       position INTEGER,
       code TEXT,
       message TEXT,
       PRIMARY KEY (share, op_id)
     ) STRICT, WITHOUT ROWID`,

    // What was applied, by share-wide position; args with references replaced. The one effect of each op.
    // result: null = undefined, '' = expired and purged.
    `CREATE TABLE applied (
       id INTEGER PRIMARY KEY,
       share INTEGER NOT NULL REFERENCES share (id),
       position INTEGER NOT NULL,
       op_id BLOB NOT NULL,
       method TEXT NOT NULL,
       codec TEXT NOT NULL,
       args TEXT NOT NULL,
       schema_version INTEGER NOT NULL,
       actor_id TEXT,
       time_created INTEGER NOT NULL,
       time_applied INTEGER NOT NULL,
       result TEXT
     ) STRICT`,
    `CREATE UNIQUE INDEX applied_position ON applied (share, position)`,

    `CREATE TABLE audit (
       share INTEGER NOT NULL REFERENCES share (id),
       position INTEGER NOT NULL,
       time INTEGER NOT NULL,
       capability_id TEXT,
       action TEXT NOT NULL,
       detail TEXT,
       PRIMARY KEY (share, position)
     ) STRICT, WITHOUT ROWID`,

    // What an opencode share shows. data null: removed by an op. written_by_op: a legacy sync leaves it as it is.
    `CREATE TABLE item (
       id INTEGER PRIMARY KEY,
       share INTEGER NOT NULL REFERENCES share (id),
       type TEXT NOT NULL,
       item_id TEXT NOT NULL,
       message_id TEXT,
       position INTEGER NOT NULL,
       written_by_op INTEGER NOT NULL,
       data TEXT
     ) STRICT`,
    `CREATE UNIQUE INDEX item_key ON item (share, type, item_id)`,
    `CREATE INDEX item_message ON item (share, message_id) WHERE message_id IS NOT NULL`,
  ],
]

/** Brings the database up to date and returns its service_id, made once per database. Idempotent. */
export function migrate(sql: Sql, seams: Seams): string {
  return sql.transaction(() => {
    sql.run(
      `CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL, time_applied INTEGER NOT NULL) STRICT`,
    )
    const version = sql.get<{ version: number | null }>(`SELECT max(version) AS version FROM schema_version`)?.version
    if ((version ?? 0) > steps.length)
      throw new Error(`the database is of version ${version}, this service knows ${steps.length}: use a newer Sturdy`)
    for (let at = version ?? 0; at < steps.length; at++) {
      for (const statement of steps[at]!) sql.run(statement)
      sql.run(`INSERT INTO schema_version (version, time_applied) VALUES (?, ?)`, at + 1, seams.clock.now())
    }
    const known = sql.get<{ service_id: string }>(`SELECT service_id FROM service`)
    if (known) return known.service_id
    const service_id = randomId(seams.random, 128)
    sql.run(`INSERT INTO service (service_id) VALUES (?)`, service_id)
    return service_id
  })
}
