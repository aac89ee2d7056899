/** Has the outbox for itself, changed, until its standard input ends: by pragma, or by the VFS; `busy`: and writes all the time. */
import { constants, Database } from "bun:sqlite"
import { pathToFileURL } from "node:url"

const [file, by] = process.argv.slice(2) as [string, "pragma" | "vfs" | "busy"]
const flags = constants.SQLITE_OPEN_READWRITE | constants.SQLITE_OPEN_URI
const db = new Database(by === "vfs" ? `${pathToFileURL(file)}?vfs=unix-excl` : file, flags)
if (by !== "vfs") db.run("pragma locking_mode = exclusive")
db.run("pragma journal_mode = wal")
db.run("update sturdy_stream set attempts = 7")
process.stdout.write("locked\n")
const write = db.prepare("update sturdy_stream set post_count = post_count + 1, twin_count = post_count + 1")
if (by === "busy") setInterval(() => write.run(), 1).unref()
for await (const _ of process.stdin);
db.close()
