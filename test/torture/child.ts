/** A process of ours that says lines of JSON, ends when its standard input ends, and takes any signal before that. */
import { readFileSync } from "node:fs"

export interface Child<Said> extends AsyncDisposable {
  readonly pid: number
  /** All that it said until now. */
  readonly said: readonly Said[]
  /** The first line that fits, said already or still to come. Rejects if the process ends without saying it. */
  heard<Wanted extends Said>(fits: (line: Said) => line is Wanted): Promise<Wanted>
  signal(name: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void
  /** Ends its standard input: it finishes what it does and exits. */
  finish(): void
  /** What it wrote to its standard error. */
  readonly complaint: Promise<string>
  /** Exit code, or null if a signal ended it. */
  readonly exited: Promise<number | null>
}

interface Listener<Said> {
  fits(line: Said): boolean
  resolve(line: Said): void
  reject(error: Error): void
}

export function startChild<Said>(script: string, config: object): Child<Said> {
  const process_ = Bun.spawn([process.execPath, script, JSON.stringify(config)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  })
  const said: Said[] = []
  const listeners = new Set<Listener<Said>>()
  const complaint = new Response(process_.stderr).text()
  const read = async () => {
    for await (const line of linesOf(process_.stdout)) {
      const heard = JSON.parse(line) as Said
      said.push(heard)
      for (const listener of listeners) {
        if (!listener.fits(heard)) continue
        listeners.delete(listener)
        listener.resolve(heard)
      }
    }
    const why = new Error(
      `${script} (pid ${process_.pid}) ended without saying what was waited for: ${await complaint}`,
    )
    for (const listener of listeners) listener.reject(why)
  }
  const reading = read()
  const exited = (async () => {
    await Promise.all([process_.exited, reading])
    return process_.signalCode === null ? process_.exitCode : null
  })()
  const child: Child<Said> = {
    pid: process_.pid,
    said,
    complaint,
    exited,
    heard<Wanted extends Said>(fits: (line: Said) => line is Wanted) {
      const known = said.find(fits)
      if (known) return Promise.resolve(known)
      return new Promise<Wanted>((resolve, reject) => {
        listeners.add({ fits, resolve: resolve as (line: Said) => void, reject })
      })
    },
    signal: (name) => process_.kill(name),
    finish: () => void process_.stdin.end(),
    async [Symbol.asyncDispose]() {
      // A process that is stopped dies of this too.
      process_.kill("SIGKILL")
      await exited
    },
  }
  return child
}

/** In a child: says a line, in one write, so that a kill leaves it whole or not at all. */
export function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/** In a child: resolves when the parent ends our standard input, or is gone. */
export async function told(): Promise<void> {
  for await (const _ of Bun.stdin.stream());
}

/** By the kernel's word (Linux): R running, S sleeping, T stopped, Z ended; undefined if there is no such process. */
export function stateOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3)
  } catch {
    return undefined
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ""
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n")
    rest = lines.pop()!
    yield* lines
  }
}
