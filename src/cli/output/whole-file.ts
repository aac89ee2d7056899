/**
 * A file that a command makes: under its name whole or not at all, never in place of another one, for its owner alone.
 * Written beside its place, and gone when the command is interrupted.
 */
import {
  closeSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { randomId } from "../../intent/ulid.ts"
import { systemRandom } from "../../intent/system.ts"
import { CommandError } from "../input/command.ts"
import { syncFolders, systemCode } from "../../store/place.ts"

/** What stands in the way, in words for people. */
export class FileRefused extends CommandError {}

/** A signal's own: it ends the command as it would have ended without us. */
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const

export class WholeFile {
  /** Beside its place, empty, until `keep`. */
  readonly unfinished: string
  readonly #fd: number
  #isOver = false
  readonly #end = (signal: NodeJS.Signals) => {
    this.abandon()
    process.kill(process.pid, signal)
  }

  /** @throws FileRefused */
  constructor(
    readonly path: string,
    readonly onInterrupt: () => void = () => {},
  ) {
    try {
      if (exists(path)) throw new FileRefused(`${path} exists: name another file, nothing is overwritten`)
      const folder = realpathSync(dirname(resolve(path)))
      this.unfinished = join(folder, `.${basename(path)}.${randomId(systemRandom, 64)}.unfinished`)
      // Before there is a file: else a signal in between would leave it.
      for (const signal of signals) process.once(signal, this.#end)
      this.#fd = openSync(this.unfinished, "wx", 0o600)
    } catch (error) {
      this.#unlisten()
      throw refusal(error, path)
    }
  }

  /** @throws FileRefused */
  write(text: string): void {
    try {
      const bytes = Buffer.from(text)
      for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at)
    } catch (error) {
      throw refusal(error, this.path)
    }
  }

  /** Under its name from here on, also after a power loss. @throws FileRefused */
  keep(): void {
    try {
      fsyncSync(this.#fd)
      this.#name()
      rmSync(this.unfinished, { force: true })
      const folder = dirname(this.unfinished)
      syncFolders(folder, folder)
    } catch (error) {
      throw refusal(error, this.path)
    } finally {
      this.abandon()
    }
  }

  /** A link is refused where a file of that name has come meanwhile; where there are no links, an empty one holds the place. */
  #name(): void {
    try {
      linkSync(this.unfinished, this.path)
    } catch (error) {
      if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(systemCode(error) ?? "")) throw error
      closeSync(openSync(this.path, "wx", 0o600))
      renameSync(this.unfinished, this.path)
    }
  }

  /** Nothing is left, unless it was kept. */
  abandon(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#unlisten()
    this.onInterrupt()
    closeSync(this.#fd)
    for (const suffix of ["", "-journal"]) rmSync(this.unfinished + suffix, { force: true })
  }

  #unlisten(): void {
    for (const signal of signals) process.off(signal, this.#end)
  }
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

function refusal(error: unknown, path: string): unknown {
  const code = systemCode(error)
  if (error instanceof FileRefused || code === undefined) return error
  if (code === "EEXIST") return new FileRefused(`${path} exists: name another file, nothing is overwritten`)
  if (code === "ENOSPC" || code === "EDQUOT")
    return new FileRefused(`no space is left where ${path} would be: nothing was left there, name another place`)
  return new FileRefused(`${path} cannot be written (${code}): name another place`)
}
