/**
 * Where opencode 1.18 keeps its data (read in its binary: Global and Database), and where the outbox of its plugin lies
 * beside it: one file for all processes, never tables in opencode's own database.
 */
import { homedir } from "node:os"
import { basename, isAbsolute, join } from "node:path"

type Environment = Readonly<Record<string, string | undefined>>

/** opencode follows XDG on every system. */
function dataFolder(env: Environment): string {
  const home = env.OPENCODE_TEST_HOME || homedir()
  return join(env.XDG_DATA_HOME || join(home, ".local", "share"), "opencode")
}

/**
 * opencode's database. Undefined if it has no file. Of a channel that is not a released one the name cannot be known
 * from outside.
 */
export function opencodeDatabase(env: Environment): string | undefined {
  const named = env.OPENCODE_DB
  if (named === ":memory:") return
  if (named) return isAbsolute(named) ? named : join(dataFolder(env), named)
  return join(dataFolder(env), "opencode.db")
}

/** The outbox beside opencode's database: sessions of another database are others. */
export function outboxFile(env: Environment): string {
  const named = env.OPENCODE_DB && env.OPENCODE_DB !== ":memory:" ? basename(env.OPENCODE_DB).replace(/\.db$/, "") : ""
  return join(dataFolder(env), "sturdy", named && named !== "opencode" ? `outbox-${named}.db` : "outbox.db")
}
