/**
 * A terminal that is drawn on in place: an alternate screen, so that what was on it comes back, and keys that are heard
 * at once. However it ends, also by an error or a signal, the terminal is left as it was.
 */
import { writeSync } from "node:fs"
import { widthOf } from "../output/table.ts"
import type { Size } from "./watch-screen.ts"

const esc = "\u001b"
/** Alternate screen, no cursor, no wrapping at the right edge. */
const enter = `${esc}[?1049h${esc}[?25l${esc}[?7l${esc}[H${esc}[2J`
const leave = `${esc}[?7h${esc}[?25h${esc}[?1049l`
/** Shown at once where the terminal knows it (synchronized update), else ignored. */
const [begin, end] = [`${esc}[?2026h`, `${esc}[?2026l`]

export interface LiveTerminalListeners {
  /** q, ctrl-C, or the end of the keyboard. */
  end(): void
  /** The size has changed, or it was away: draw again. */
  redraw(): void
}

export class LiveTerminal implements Disposable {
  readonly #listeners: LiveTerminalListeners
  #isOn = false

  constructor(listeners: LiveTerminalListeners) {
    this.#listeners = listeners
    process.on("exit", this.#off)
    process.stdout.on("resize", this.#redraw)
    process.on("SIGTSTP", this.#suspend)
    process.on("SIGCONT", this.#resume)
    if (process.stdin.isTTY) process.stdin.on("data", this.#key).on("end", this.#ended).on("error", this.#ended)
    this.#on()
  }

  get size(): Size {
    return { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 }
  }

  /** Over what stood there: nothing is cleared before it is written, so nothing flickers. */
  draw(lines: readonly string[]): void {
    // A slow line: the next frame says more than this one.
    if (!this.#isOn || process.stdout.writableNeedDrain) return
    const { columns, rows } = this.size
    // Behind a line that fills its row the cursor still stands on its last column: erased from there, that would go.
    const text = lines.map((line) => (widthOf(line) < columns ? `${line}${esc}[K` : line)).join("\r\n")
    process.stdout.write(`${begin}${esc}[H${text}${lines.length < rows ? `\r\n${esc}[J` : ""}${end}`)
  }

  [Symbol.dispose](): void {
    this.#off()
    process.off("exit", this.#off)
    process.stdout.off("resize", this.#redraw)
    process.off("SIGTSTP", this.#suspend)
    process.off("SIGCONT", this.#resume)
    process.stdin.off("data", this.#key).off("end", this.#ended).off("error", this.#ended)
    // Else the process waits for a key.
    if (process.stdin.isTTY) process.stdin.pause().unref()
  }

  readonly #on = () => {
    if (this.#isOn) return
    this.#isOn = true
    if (process.stdin.isTTY) process.stdin.setRawMode(true).resume()
    process.stdout.write(enter)
  }

  /** Synchronous: there may be no later. */
  readonly #off = () => {
    if (!this.#isOn) return
    this.#isOn = false
    try {
      writeSync(1, leave)
      if (process.stdin.isTTY) process.stdin.setRawMode(false)
    } catch {
      // The terminal is gone.
    }
  }

  readonly #key = (bytes: Uint8Array) => {
    for (const byte of bytes) {
      if (byte === keys.q || byte === keys.Q || byte === keys.ctrl_c || byte === keys.ctrl_d) this.#listeners.end()
      if (byte === keys.ctrl_l) this.#redraw()
      // The whole job, as the terminal would: what started this (npm) stops with it.
      if (byte === keys.ctrl_z) process.kill(0, "SIGTSTP")
    }
  }

  readonly #ended = () => this.#listeners.end()

  readonly #redraw = () => this.#listeners.redraw()

  readonly #suspend = () => {
    this.#off()
    process.kill(process.pid, "SIGSTOP")
  }

  readonly #resume = () => {
    this.#on()
    this.#redraw()
  }
}

const keys = { q: 0x71, Q: 0x51, ctrl_c: 0x03, ctrl_d: 0x04, ctrl_l: 0x0c, ctrl_z: 0x1a }
