/** A child process of a test that talks in lines. */
export interface Child extends AsyncDisposable {
  pid: number
  /** The next line of its output; undefined if it ended. */
  line(): Promise<string | undefined>
  /** Sends a line. */
  go(): void
  /** Ends its input and waits for its end: its exit code, or the signal that killed it. */
  end(): Promise<number | string>
}

export function startChild(command: string[], stderr: "inherit" | "ignore" = "inherit"): Child {
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr })
  const reader = child.stdout.getReader()
  let text = ""
  return {
    pid: child.pid,
    async line() {
      while (!text.includes("\n")) {
        const { value, done } = await reader.read()
        if (done) return
        text += Buffer.from(value).toString()
      }
      const [line, ...rest] = text.split("\n")
      text = rest.join("\n")
      return line
    },
    go() {
      child.stdin.write("\n")
      child.stdin.flush()
    },
    async end() {
      child.stdin.end()
      await child.exited
      return child.signalCode ?? child.exitCode ?? -1
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) child.kill("SIGKILL")
      await child.exited
    },
  }
}
