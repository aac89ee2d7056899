/**
 * A file that nobody else has open. SQLite's VFS `unix-excl` takes its lock before the first page is read, and gets BUSY
 * while another process has the file open, since a connection in WAL mode keeps its shared lock for as long as it lives.
 */
import { constants } from "bun:sqlite"
import { pathToFileURL } from "node:url"
import { isDamage, sqliteCode } from "./fault.ts"
import { Handle } from "./handle.ts"

/**
 * A handle that is alone on the file until it is closed; also on a damaged one. Undefined if somebody has it open, after
 * so long. At its close what is whole of the -wal is copied back; the -wal itself stays as it is.
 *
 * @throws SQLiteError
 */
export function openAlone(file: string, wait_ms: number): Handle | undefined {
  let lock: Handle | undefined
  try {
    const flags = constants.SQLITE_OPEN_READWRITE | constants.SQLITE_OPEN_URI
    lock = new Handle(`${pathToFileURL(file)}?vfs=unix-excl`, flags)
    lock.run(`pragma busy_timeout = ${wait_ms}`)
    // Closing deletes by name, and by then the name may be another file's.
    lock.fileControl(constants.SQLITE_FCNTL_PERSIST_WAL, Int32Array.of(1, 0))
    lock.prepare("select count(*) from sqlite_schema").get()
    return lock
  } catch (error) {
    if (lock && isDamage(error)) return lock
    lock?.close()
    if (sqliteCode(error)?.startsWith("SQLITE_BUSY")) return
    throw error
  }
}
