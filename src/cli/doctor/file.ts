/** The outbox as a file: is it one, whose is it, who may read it, on what does it lie, and what lies beside it? */
import { accessSync, constants, type Stats, statfsSync } from "node:fs"
import { basename, dirname } from "node:path"
import { outboxFileSummary } from "../../inspect/outbox-file.ts"
import * as limit from "../../intent/limit.ts"
import { hasHotJournal } from "../../store/instant.ts"
import { bytesOf, statOf } from "../../store/place.ts"
import { suspicionOf } from "../../store/suspect.ts"
import { commandLine, quoted } from "../outbox/command-line.ts"
import { printable } from "../output/terminal.ts"
import { agoText, bytesText, count } from "../output/words.ts"
import type { Check, Context, Observation } from "./check.ts"
import { fileSystemOf } from "./file-system.ts"

export const fileCheck: Check = {
  name: "file",
  *run({ file }) {
    const stats = statOf(file)
    if (!stats) return
    if (!stats.isFile()) return
    if (stats.nlink > 1)
      yield {
        level: "wrong",
        message: `it has ${stats.nlink} names (hard links): two names lead to two -wal files for one file, and ops are lost`,
        cure: "Keep one name; these are all of them:",
        command: `find ${quoted(dirname(file))} -xdev -samefile ${quoted(file)}`,
        links: stats.nlink,
      }
    const { bytes, wal_bytes } = outboxFileSummary(file)
    const wal = wal_bytes > 0 ? ` + ${bytesText(wal_bytes)} -wal` : ""
    if (stats.nlink === 1)
      yield { level: "ok", message: `${bytesText(bytes)}${wal}, a file with one name`, bytes, wal_bytes }
  },
}

export const permissionCheck: Check = {
  name: "permissions",
  *run(context) {
    if (process.platform === "win32" || !statOf(context.file)?.isFile()) return
    const found = [...ownerFaults(context), ...modeFaults(context), ...folderFaults(context)]
    yield* found
    if (found.every(({ level }) => level === "note"))
      yield { level: "ok", message: "nobody else may read or replace it, and this user may write it" }
  },
}

function* ownerFaults({ file }: Context): Generator<Observation> {
  const uid = process.getuid!()
  const owner = statOf(file)!.uid
  if (owner !== uid && uid === 0)
    yield { level: "note", message: `it belongs to user ${owner}; you look at it as root`, owner }
  else if (owner !== uid)
    yield {
      level: "warning",
      message: `it belongs to user ${owner}, and you are user ${uid}`,
      cure: "The program that records must run as its owner; so should you, to do anything but look.",
      owner,
    }
  for (const [path, mode, may] of [
    [file, constants.R_OK | constants.W_OK, "may not write it"],
    [dirname(file), constants.W_OK | constants.X_OK, "may not write in its folder, where its -wal lies"],
  ] as const)
    if (!isAllowed(path, mode))
      yield {
        level: "wrong",
        message: `this user ${may}: a program that runs as this user cannot record`,
        cure: `Give the user write permission, or run as the owner (user ${owner}).`,
        command: `chmod u+rw${path === file ? "" : "x"} ${quoted(path)}`,
      }
}

/** What lies beside the outbox holds the same: ops, and the secrets of shares. */
function* modeFaults({ file, hostTables }: Context): Generator<Observation> {
  const beside = ["", "-wal", "-shm", "-journal"].map((suffix) => file + suffix)
  const open = [...beside, ...outboxFileSummary(file).put_aside].filter((path) => isOpenToOthers(statOf(path)))
  if (open.length === 0) return
  const modes = open.map((path) => `${basename(path)} is ${modeText(statOf(path)!)}`)
  yield {
    // What becomes of a host's own file is the host's to say.
    level: hostTables.length > 0 ? "warning" : "wrong",
    message: `others may read it, with the secrets of its shares: ${printable(modes.join(", "))}`,
    cure: "Let only its owner read and write:",
    command: `chmod 600 ${open.map(quoted).join(" ")}`,
    modes: Object.fromEntries(open.map((path) => [path, modeText(statOf(path)!)])),
  }
}

function* folderFaults({ file }: Context): Generator<Observation> {
  const folder = dirname(file)
  const stats = statOf(folder)
  if (!stats || (stats.mode & 0o077) === 0) return
  const isSticky = (stats.mode & 0o1000) !== 0
  if ((stats.mode & 0o022) !== 0 && !isSticky)
    yield {
      level: "warning",
      message: `others may write in its folder (${modeText(stats)}), and so replace or remove it`,
      cure: "Let only its owner write there:",
      command: `chmod go-w ${quoted(folder)}`,
      folder_mode: modeText(stats),
    }
  else
    yield {
      level: "note",
      message: `others may look into its folder (${modeText(stats)}); a folder that Sturdy makes is 0700`,
      folder_mode: modeText(stats),
    }
}

const isOpenToOthers = (stats: Stats | undefined) => stats !== undefined && (stats.mode & 0o077) !== 0

const modeText = ({ mode }: Stats) => (mode & 0o7777).toString(8).padStart(4, "0")

function isAllowed(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

/** Room for a -wal at its cap several times over. */
const free_bytes_low = 4 * limit.wal_bytes_max
const free_bytes_none = 1024 * 1024

export const diskCheck: Check = {
  name: "disk",
  *run({ file }) {
    const { type, bavail, bsize, ffree, files } = statfsSync(dirname(file))
    const system = fileSystemOf(type)
    const free_bytes = bavail * bsize
    const facts = { file_system: system?.name ?? null, free_bytes }
    if (system?.doubt !== undefined)
      yield { level: system.level, message: `it lies on ${system.name}: ${system.doubt}`, ...facts, cure: system.cure }
    const isOutOfNames = files > 0 && ffree === 0
    if (free_bytes < free_bytes_none || isOutOfNames)
      yield {
        level: "wrong",
        message: isOutOfNames ? "the disk takes no more files" : `the disk is full: ${bytesText(free_bytes)} are free`,
        cure: "Free some space: recording and sending go on by themselves.",
        command: `df -h ${quoted(dirname(file))}`,
        ...facts,
      }
    else if (free_bytes < free_bytes_low)
      yield {
        level: "warning",
        message: `only ${bytesText(free_bytes)} are free`,
        cure: "Free some space before nothing can be recorded any more.",
        command: `df -h ${quoted(dirname(file))}`,
        ...facts,
      }
    else yield { level: "ok", message: `${bytesText(free_bytes)} free${system ? `, ${system.name}` : ""}`, ...facts }
  },
}

export const leftoverCheck: Check = {
  name: "leftovers",
  *run(context) {
    const found = [...strayFiles(context), ...suspicions(context), ...putAside(context)]
    yield* found
    if (found.length === 0) yield { level: "ok", message: "nothing of an earlier fault lies beside it" }
  },
}

function* strayFiles({ file, hostTables }: Context): Generator<Observation> {
  const isThere = statOf(file) !== undefined
  const wal_bytes = bytesOf(`${file}-wal`)
  if (!isThere && wal_bytes > 0)
    yield {
      level: "wrong",
      message: `a -wal of ${bytesText(wal_bytes)} lies here without its outbox: it holds what was recorded last`,
      cure: "Put the outbox file back beside it before any program opens it; if it is gone, keep the -wal.",
      wal_bytes,
    }
  const journal_bytes = bytesOf(`${file}-journal`)
  // One that holds nothing is what a host's own journal_mode keeps for the next transaction.
  if (journal_bytes > 0 && (hostTables.length === 0 || hasHotJournal(file)))
    yield {
      level: "warning",
      message: `a -journal of ${bytesText(journal_bytes)}: a program that writes into it was killed, or is in the middle of it`,
      cure: "The next program that opens the outbox rolls it back; keep it beside the file until then.",
      journal_bytes,
    }
}

function* suspicions({ file, now, place }: Context): Generator<Observation> {
  const suspicion = suspicionOf(file)
  if (!suspicion) return
  const { since, doing, condemned } = suspicion
  const at = Date.parse(since ?? "")
  const when = Number.isNaN(at) ? "at a time that cannot be read" : agoText(at, now)
  const ino = statOf(file)?.ino
  if (condemned !== undefined && condemned === ino)
    yield {
      level: "wrong",
      message: `it was being put aside as damaged ${when}, and the process ended in between`,
      cure: `The next program that opens it with { damaged: "quarantine" } goes on with that; so does:`,
      command: commandLine(place, "doctor", "--quarantine"),
      condemned: true,
    }
  else
    yield {
      level: "warning",
      message: `damage was met in it ${when}${doing === undefined ? "" : `, by: ${printable(doing)}`}`,
      cure: "The check of its pages, below, says whether it is there still; the next program that opens the outbox looks too.",
      since: since ?? null,
      doing: doing ?? null,
    }
}

function* putAside({ file, place }: Context): Generator<Observation> {
  const kept = outboxFileSummary(file).put_aside
  for (const path of kept.slice(0, shown_max)) {
    const isWal = basename(path).startsWith(`${basename(file)}-wal.damaged-`)
    yield isWal
      ? {
          level: "warning",
          message: `a damaged -wal was kept: ${printable(basename(path))}, ${bytesText(bytesOf(path))}`,
          cure: "What it held last may be missing in the outbox; what the service had of it comes back as a twin. Remove it when nobody misses anything.",
          file: path,
        }
      : {
          level: "warning",
          message: `a damaged outbox was put aside: ${printable(basename(path))}, ${bytesText(bytesOf(path))}; what was pending in it is sent by nobody`,
          cure: "Get its ops out, then remove it:",
          command: commandLine({ file: path, by: "--db" }, "export"),
          file: path,
        }
  }
  if (kept.length > shown_max)
    yield {
      level: "warning",
      message: `and ${count(kept.length - shown_max, "more damaged file")}`,
      command: commandLine(place, "status", "--json"),
    }
}

const shown_max = 5
