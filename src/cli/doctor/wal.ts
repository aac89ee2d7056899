/** The -wal: is it whole, is it too large, and who keeps it from being copied back? */
import { statSync } from "node:fs"
import * as limit from "../../intent/limit.ts"
import { systemClock } from "../../intent/system.ts"
import { bytesOf } from "../../store/place.ts"
import { type WalFault, walFault } from "../../store/wal.ts"
import { commandLine } from "../outbox/command-line.ts"
import { printable } from "../output/terminal.ts"
import { bytesText, count } from "../output/words.ts"
import type { Check, Context, Observation } from "./check.ts"
import { longReaders } from "./reader.ts"

/** Somebody who writes meanwhile makes it look wrong: so often is it looked at again, with pauses. */
const looks_max = 12
const pause_ms = 60

export const walCheck: Check = {
  name: "wal",
  *run(context) {
    const { file } = context
    const bytes = bytesOf(`${file}-wal`)
    if (bytes === 0) {
      yield { level: "ok", message: "none: everything is in the file", bytes }
      return
    }
    const seen = faultOf(file)
    if (seen) yield faultFinding(context, seen.fault, seen.isWritten)
    const isLarge = bytes > limit.wal_bytes_max + limit.batch_bytes_max && context.hostTables.length === 0
    if (isLarge) yield sizeFinding(context, bytes)
    if (!seen && !isLarge) yield { level: "ok", message: `${bytesText(bytes)}, whole`, bytes }
  },
}

/** Undefined as soon as one look finds nothing. */
function faultOf(file: string): { fault: WalFault; isWritten: boolean } | undefined {
  const before = timeOf(file)
  for (let look = 1; ; look++) {
    const fault = walFault(file)
    if (!fault) return
    if (look === looks_max) return { fault, isWritten: timeOf(file) !== before }
    systemClock.block(pause_ms)
  }
}

function timeOf(file: string): number | undefined {
  return statSync(`${file}-wal`, { throwIfNoEntry: false })?.mtimeMs
}

function faultFinding({ place }: Context, fault: WalFault, isWritten: boolean): Observation {
  if (isWritten)
    return {
      level: "warning",
      message: `it looked damaged each of ${looks_max} times, but somebody writes it meanwhile`,
      cure: "Look again when it is quiet:",
      command: commandLine(place, "doctor"),
      fault,
    }
  if (fault.of === "header")
    return {
      level: "wrong",
      message: `its header is damaged, so that nothing of its ${fault.bytes.toLocaleString("en")} bytes can be read`,
      cure: "End the programs that have the outbox open, keep a copy of it and its -wal, then put both aside:",
      command: commandLine(place, "doctor", "--quarantine"),
      fault,
    }
  return {
    level: "wrong",
    message: `it is damaged, or was cut by a power loss: ${fault.read.toLocaleString("en")} of ${fault.written.toLocaleString("en")} frames can be read; what was recorded last is missing`,
    cure: "The next program that opens the outbox alone keeps this -wal beside it, as .damaged-…, and goes on with what is whole; what the service had comes back as a twin. To do so now:",
    command: commandLine(place, "doctor", "--quarantine"),
    fault,
  }
}

function sizeFinding({ file, place }: Context, bytes: number): Observation {
  const readers = longReaders(file)
  const facts = { bytes, readers }
  const size = `${bytesText(bytes)}, and the one who records copies it back at ${bytesText(limit.wal_bytes_max)}`
  if (readers.length === 0)
    return {
      level: "warning",
      message: `${size}: nobody has copied it back`,
      cure: "If no program has it open, the next one that opens it does; if one has, see whether it stands:",
      command: commandLine(place, "status"),
      ...facts,
    }
  const who = readers.map(({ pid, name }) => `pid ${pid} (${printable(name)})`).join(", ")
  return {
    level: "warning",
    message: `${size}: ${count(readers.length, "process reads", "processes read")} it all the while: ${who}`,
    cure: "Let it end its transaction, or end it.",
    ...facts,
  }
}
