/** A command in a real terminal: a pane of a tmux server of its own, of a given size, captured as a person sees it. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface Shown {
  /** The pane with what scrolled out of it, lines as they are on the screen, without trailing blanks. */
  plain: string
  /** The same with colours: SGR sequences and nothing else. */
  coloured: string
  /** Undefined if it still ran when it was captured. */
  code: number | undefined
}

export interface Showing {
  width: number
  height: number
  env: Readonly<Record<string, string>>
  /** Capture while it runs, after so long; then end it with q, else with ctrl-C. Else: when it has ended. */
  after_s?: number | undefined
}

/** Unset where it is empty: to some programs NO_COLOR means it even then. */
const neutral = { TZ: "UTC", LC_ALL: "C.UTF-8", NO_COLOR: "", FORCE_COLOR: "", COLORTERM: "" }

/** A command that is to end by itself has so long. */
const patience_s = 60

/** @throws Error if there is no tmux, or the command does not end. */
export async function show(command: readonly string[], showing: Showing): Promise<Shown> {
  if (!Bun.which("tmux")) throw new Error("capturing needs tmux: install it (it is no dependency of the tests)")
  const folder = mkdtempSync(join(tmpdir(), "sturdy-capture-"))
  const ended = join(folder, "ended")
  // `-f /dev/null`: the settings of whoever runs this are no part of the picture.
  const tmux = (...args: string[]) =>
    ran(["tmux", "-S", join(folder, "tmux"), "-u", "-f", "/dev/null", ...args], folder)
  const environment = Object.entries({ ...showing.env, ...neutral })
  const unset = environment.flatMap(([name, value]) => (value === "" ? [`-u${name}`] : []))
  const set = environment.flatMap(([name, value]) => (value === "" ? [] : [`${name}=${value}`]))
  const line = ["env", ...unset, ...set, ...command].map(quoted).join(" ")
  // What stands on the screen stays until it was captured: a ctrl-C ends the command, and not this shell.
  const script = `trap : INT; ${line}; printf %s $? >${quoted(ended)}; tmux wait-for -S ended; exec sleep 600`
  try {
    const options = "set -g history-limit 50000 ; set -g status off ; set -g default-terminal tmux-256color"
    const size = `-x ${showing.width} -y ${showing.height}`
    await tmux(...`start-server ; ${options} ; new-session -d ${size}`.split(" "), "sh", "-c", script)
    const end = tmux("wait-for", "ended")
    if (showing.after_s === undefined) {
      if (!(await within(patience_s, end))) throw new Error(`${command.join(" ")} has not ended in ${patience_s} s`)
      return await captured()
    }
    await within(showing.after_s, end)
    const shown = await captured()
    for (const key of ["q", "C-c"])
      if (!(await within(0, end))) {
        await tmux("send-keys", key)
        await within(1, end)
      }
    return shown
  } finally {
    await tmux("kill-server")
    rmSync(folder, { recursive: true, force: true })
  }

  async function captured(): Promise<Shown> {
    const coloured = (await tmux("capture-pane", "-p", "-e", "-S", "-")).trimEnd()
    const plain = await tmux("capture-pane", "-p", "-S", "-")
    return { plain: trimmed(plain), coloured, code: codeIn(ended) }
  }
}

function codeIn(file: string): number | undefined {
  try {
    return Number(readFileSync(file, "utf8"))
  } catch {
    return undefined
  }
}

async function within(seconds: number, end: Promise<unknown>): Promise<boolean> {
  return Promise.race([end.then(() => true), Bun.sleep(seconds * 1000).then(() => false)])
}

async function ran(command: string[], cwd: string): Promise<string> {
  const child = Bun.spawn(command, { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" })
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  // The server is killed while somebody still waits for an end that did not come; it is gone when all has ended.
  if (code !== 0 && !command.includes("wait-for") && !command.includes("kill-server"))
    throw new Error(`${command.slice(0, 6).join(" ")}: ${err}`)
  return out
}

function trimmed(text: string): string {
  return text
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")
    .trimEnd()
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}
