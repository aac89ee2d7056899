/** Where a long list of lines goes: standard output, no faster than it is taken, or a new file. */
import { once } from "node:events"
import { WholeFile } from "./whole-file.ts"

export interface Sink {
  /** Undefined: standard output. */
  path: string | undefined
  /** Lets the rest of the process have its turn: signals too. */
  write(text: string): Promise<void>
  keep(): void
  abandon(): void
}

/** `source` is closed if nobody reads any more: main.ts ends the process then. @throws FileRefused */
export function openSink(path: string | undefined, source: { close(): void }): Sink {
  if (path === undefined) return standardOutput(source)
  const file = new WholeFile(path)
  return {
    path,
    async write(text) {
      file.write(text)
      await new Promise((resolve) => setImmediate(resolve))
    },
    keep: () => file.keep(),
    abandon: () => file.abandon(),
  }
}

function standardOutput(source: { close(): void }): Sink {
  const { stdout } = process
  stdout.prependListener("error", () => source.close())
  return {
    path: undefined,
    async write(text) {
      if (!stdout.write(text)) await once(stdout, "drain")
      else await new Promise((resolve) => setImmediate(resolve))
    },
    keep() {},
    abandon() {},
  }
}
