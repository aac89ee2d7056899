/** What a recording process notes in a file of its own: read by the driver when everybody has ended. */
import { existsSync, openSync, readFileSync, writeSync } from "node:fs"

/** An op whose record returned. */
export interface LoggedOp {
  /** `client/incarnation/n`: rises in the order of recording. */
  name: string
  stream: string
  op_id: string
  kind: "plain" | "keyed" | "unit" | "dependent" | "refused"
  key?: string
  /** Name of the op whose result it was given. */
  on?: string
}

export type LogLine =
  | { started: number }
  /** Recorded together, as one unit if there are several. */
  | { recorded: LoggedOp[] }
  | { lease: number; held: boolean }
  | { post: "sent" | "answered" }
  | { busy: string }
  /** It stops itself there. */
  | { stopping: string }
  | { wrong: string }

export type Log = (line: LogLine) => void

/** Each line is one write: a kill leaves it whole or not at all. */
export function openLog(file: string): Log {
  const fd = openSync(file, "a")
  return (line) => void writeSync(fd, `${JSON.stringify(line)}\n`)
}

export function readLog(file: string): LogLine[] {
  if (!existsSync(file)) return []
  return readFileSync(file, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as LogLine)
}
