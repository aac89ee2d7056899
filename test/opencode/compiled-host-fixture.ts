/**
 * A program that links Sturdy by its package name, to be compiled into one file: one session is shared through shareSync,
 * from tables in the program's own database, and one op recorded in an outbox file of its own. Prints what became of it.
 */
import { Database } from "bun:sqlite"
import { openOutbox } from "sturdy"
import { type BusEvent, shareSync } from "sturdy/opencode"

const [folder, service] = process.argv.slice(-2) as [string, string]
const database = new Database(`${folder}/host.db`)
database.run("create table migration (id text primary key, time_completed integer)")
const info = { id: "ses_1", title: "A compiled host" }
const message = { id: "msg_1", sessionID: "ses_1", role: "user" }
const part = { id: "prt_1", sessionID: "ses_1", messageID: "msg_1", type: "text", text: "hello" }

const sync = shareSync({
  outbox: { database, migrationTable: "migration" },
  service,
  sessions: { get: () => info, messages: () => [{ info: message, parts: [part] }] },
})
let hear: (event: BusEvent) => void = () => {}
sync.init({ subscribeAll: (listener) => void (hear = listener) })
const { id, url } = await sync.create("ses_1")
hear({ id: "evt_1", type: "message.part.updated", properties: { sessionID: "ses_1", part } })
await sync.resync(sync.outbox.stream("ses_1"))
const flushed = await sync.outbox.flush()
await sync.outbox.close({ flush_ms: 0 })

const outbox = openOutbox(`${folder}/outbox.db`)
const notes = outbox.stream("notes", outbox.newRef(`${service}/rpc/share`), { create: { session_id: "notes" } })
notes.record({ method: "session.put", args: [{ id: "notes" }] })
await outbox.flush()
const { pending, posts } = notes.status()
await outbox.close({ flush_ms: 0 })

const { n } = database.query<{ n: number }, []>("select count(*) as n from migration where id like 'sturdy_%'").get()!
console.log(JSON.stringify({ id, url, blocked: flushed.blocked, migrations: n, notes: { pending, posts } }))
