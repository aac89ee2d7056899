/** A program on a pseudo-terminal, and all that it wrote there. */
export function onTerminal(script: string, args: string[], { cols = 80, rows = 24, env = {} } = {}) {
  const decoder = new TextDecoder()
  const seen = { text: "" }
  const terminal = new Bun.Terminal({
    cols,
    rows,
    data: (_, bytes) => void (seen.text += decoder.decode(bytes, { stream: true })),
  })
  const modes = () => [terminal.localFlags, terminal.inputFlags, terminal.outputFlags]
  const before = modes()
  const child = Bun.spawn([process.execPath, script, ...args], {
    terminal,
    env: { ...process.env, STURDY_DB: "", NO_COLOR: "1", ...env },
  })
  return {
    terminal,
    child,
    seen,
    isAsItWas: () => Bun.deepEquals(modes(), before),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL")
      await child.exited
      terminal.close()
    },
  }
}
