/** Has the outbox for itself, with an op more, until its standard input ends: by pragma, or by the VFS. */
import { constants, Database } from "bun:sqlite"
import { pathToFileURL } from "node:url"

const [file, by] = process.argv.slice(2) as [string, "pragma" | "vfs"]
const flags = constants.SQLITE_OPEN_READWRITE | constants.SQLITE_OPEN_URI
const db = new Database(by === "vfs" ? `${pathToFileURL(file)}?vfs=unix-excl` : file, flags)
if (by === "pragma") db.run("pragma locking_mode = exclusive")
db.run("pragma journal_mode = wal")
db.run("update sturdy_stream set attempts = 7")
process.stdout.write("locked\n")
for await (const _ of process.stdin);
db.close()
