#!/usr/bin/env node
/**
 * What `npx sturdy` and `bunx sturdy` start: finds a Bun that is new enough, and becomes it. Plain JavaScript, since
 * Node and a Bun that is too old run it too.
 */
import { spawn, spawnSync } from "node:child_process"
import { accessSync, constants as file, readdirSync, realpathSync } from "node:fs"
import { constants as system } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { isatty } from "node:tty"
import { fileURLToPath } from "node:url"

/** `engines.bun` of package.json. */
const oldest = [1, 3, 14]
const probe_ms = 10_000
const folder = dirname(fileURLToPath(import.meta.url))

if (isNewEnough(process.versions.bun)) await import("./main.ts")
else becomeBun()

function becomeBun() {
  const { STURDY_BUN: chosen } = process.env
  const refused = new Map()
  for (const candidate of chosen ? [program(chosen)] : candidates()) {
    const { binary } = candidate
    if (refused.has(binary) || !isExecutable(binary)) continue
    const version = bunVersion(candidate)
    if (isNewEnough(version)) return become(candidate)
    refused.set(binary, version ? `Bun ${version}` : "no Bun, or does not start")
  }
  const wanted = `Bun ${oldest.join(".")} or newer`
  if (chosen)
    return fail(
      `STURDY_BUN names ${chosen}, which is ${refused.get(chosen) ?? "no program"}. Name ${wanted}, or unset it`,
    )
  const found = [...refused].map(([binary, what]) => `${binary} is ${what}`)
  const looked = "Looked for `bun` and `opencode` on PATH and @oven/bun-* in node_modules"
  fail(`needs ${wanted}. ${[looked, ...found].join("; ")}. Get Bun by \`npm install -g bun\`, or from https://bun.sh`)
}

/** The most usual first. opencode is a program that Bun compiled, and with BUN_BE_BUN that Bun itself. */
function* candidates() {
  const { npm_config_user_agent: starter, npm_execpath: path } = process.env
  // The bunx that started this; it may be on no PATH.
  if (path && starter?.startsWith("bun/")) yield program(path)
  for (const binary of onPath("bun")) {
    yield program(binary)
    // A stub, where the install script of npm's `bun` did not run.
    if (isExecutable(binary)) yield* installedAbove(dirname(realpathSync(binary)))
  }
  yield* installedAbove(folder)
  for (const binary of onPath("opencode")) yield { binary, env: { ...process.env, BUN_BE_BUN: "1" }, isWrapped: true }
}

/** `isWrapped`: may be a script that starts another. */
function program(binary) {
  return { binary, env: process.env, isWrapped: false }
}

function onPath(name) {
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean)
  return folders.map((folder) => join(folder, name))
}

/** What npm's `bun` brought: its install script moves the binary from a package per platform into its own. */
function* installedAbove(place) {
  for (let above = place; above !== dirname(above); above = dirname(above)) {
    const modules = join(above, "node_modules")
    const scope = join(modules, "@oven")
    // Of several, the plain one first: -baseline is slower, -musl is for another libc.
    const names = filesIn(scope).filter((name) => name.startsWith(`bun-${process.platform}-${process.arch}`))
    if (names.length > 0) yield program(join(modules, "bun", "bin", "bun.exe"))
    for (const name of names.sort((a, b) => a.length - b.length)) yield program(join(scope, name, "bin", "bun"))
  }
}

function filesIn(folder) {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function isExecutable(path) {
  try {
    accessSync(path, file.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Undefined of what is no Bun or does not start. By `--revision` (3 ms): a program that is none does not know it, while
 * `--version` an opencode without a Bun would answer too, and with no option it would take what follows as its own.
 */
function bunVersion(candidate) {
  return /^(\d+\.\d+\.\d+)\S*\+[0-9a-f]+$/.exec(ask(candidate, ["--revision"]))?.[1]
}

/** What it prints; "" if it fails. */
function ask({ binary, env }, args) {
  const options = { env, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: probe_ms }
  const { status, stdout } = spawnSync(binary, args, options)
  return status === 0 ? stdout.trim() : ""
}

function isNewEnough(version) {
  if (!version) return false
  const parts = version.split(".").map((part) => parseInt(part, 10))
  const differs = oldest.findIndex((part, n) => part !== parts[n])
  return differs === -1 || parts[differs] > oldest[differs]
}

/** From Node 22.15 on truly: process id, signals and exit code are the program's. Before that a child stands for it. */
function become(candidate) {
  const { env } = candidate
  // The script before an older opencode is deaf while it waits: what is signalled to it never arrives.
  const binary = (candidate.isWrapped && ask(candidate, ["-p", "process.execPath"])) || candidate.binary
  const args = [join(folder, "main.ts"), ...process.argv.slice(2)]
  if (process.execve && process.platform !== "win32") process.execve(binary, [binary, ...args], env)
  const child = spawn(binary, args, { env, stdio: "inherit" })
  // What a terminal's keys and its end say, it says to the child too.
  const isAtTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor))
  for (const signal of ["SIGINT", "SIGQUIT", "SIGHUP", "SIGTERM"])
    process.on(signal, () => {
      if (signal === "SIGTERM" || !isAtTerminal) child.kill(signal)
    })
  child.on("error", (error) => fail(`${binary} cannot be started (${error.code})`))
  child.on("exit", (code, signal) => (signal ? dieOf(signal) : process.exit(code)))
}

function dieOf(signal) {
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
  // Node ignores SIGPIPE.
  process.exit(128 + system.signals[signal])
}

function fail(message) {
  process.stderr.write(`sturdy: ${message}.\n`)
  process.exitCode = 1
}
