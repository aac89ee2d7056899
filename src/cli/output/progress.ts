/** Progress on standard error: one line redrawn in place on a terminal, nothing but notes elsewhere. */
import { note } from "./terminal.ts"

const bar_width = 30

export class ProgressLine {
  #drawn = false
  #last = ""

  show(what: string, done: number, total: number): void {
    if (!process.stderr.isTTY || total === 0) return
    const numbers = `${done}/${total}`
    // A line that fills its row would be drawn again below itself.
    const room = (process.stderr.columns || 80) - what.length - numbers.length - 3
    const width = Math.max(0, Math.min(bar_width, room))
    const filled = Math.round((width * done) / total)
    const bar = "█".repeat(filled) + "░".repeat(width - filled)
    process.stderr.write(`\r\u001b[K${what} ${bar} ${numbers}`)
    this.#drawn = true
  }

  /** What is being done, as long as it is not known how much of it there is. */
  doing(what: string): void {
    if (!process.stderr.isTTY) return
    process.stderr.write(`\r\u001b[K${what}…`)
    this.#drawn = true
  }

  /** The line is gone, as if it had never been. */
  clear(): void {
    if (this.#drawn) process.stderr.write("\r\u001b[K")
    this.#drawn = false
  }

  /** A line of its own; the same one again is left out. */
  note(text: string): void {
    if (text === this.#last) return
    this.#last = text
    this.end()
    note(text)
  }

  end(): void {
    if (this.#drawn) process.stderr.write("\n")
    this.#drawn = false
  }
}
