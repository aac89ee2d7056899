/** What `npx sturdy` and `bunx sturdy` start, in real processes, on machines that have little on their PATH. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { engines } from "../../package.json"
import { openOutbox } from "../../src/outbox.ts"
import { installPacked } from "../opencode/package-forms.ts"
import { tempDir, type TempDir } from "../temp-dir.ts"
import { until } from "../until.ts"
import { expectOneLine } from "./one-line.ts"
import type { Ran } from "./run.ts"

const root = join(import.meta.dir, "..", "..")
const launcher = join(root, "src", "cli", "launcher.mjs")
const [node, npx] = [Bun.which("node"), Bun.which("npx")].map((found) => found && realpathSync(found))
const oldest = engines.bun.replace(">=", "")
const run_ms = 30_000
const live_opencode = join(
  root,
  `test/opencode-live/node_modules/opencode-${process.platform}-${process.arch}/bin/opencode`,
)

/** A folder for PATH with these programs in it and no other. */
function pathOf(dir: TempDir, programs: Record<string, string>): string {
  const path = dir.file(`path-${Bun.hash(JSON.stringify(programs)).toString(36)}`)
  if (existsSync(path)) return path
  mkdirSync(path)
  for (const [name, binary] of Object.entries(programs)) symlinkSync(binary, join(path, name))
  return path
}

/** A program of another make, as a script. */
function script(dir: TempDir, name: string, text: string): string {
  writeFileSync(dir.file(name), text, { mode: 0o755 })
  return dir.file(name)
}

/** Says that it is this Bun, and does as told with all else. */
const bunThat = (dir: TempDir, version: string, does: string) =>
  script(
    dir,
    `bun-${version}`,
    `#!/bin/sh\nif [ "$1" = --revision ]; then echo ${version}+0d9b296af; exit; fi\n${does}\n`,
  )

function start(command: string[], env: Record<string, string>, cwd = root) {
  return Bun.spawn(command, { cwd, env, stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: run_ms })
}

async function run(command: string[], env: Record<string, string>, cwd = root): Promise<Ran> {
  const child = start(command, env, cwd)
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, out, err }
}

const help = ["status", "--help"]

function expectHelp(ran: Ran): void {
  expect(ran).toEqual({ code: 0, out: expect.stringMatching(/^usage: sturdy status/), err: "" })
}

describe.skipIf(!node || !npx)("sturdy, installed by npm", () => {
  const dir = tempDir()
  const opencode = dir.file("opencode")
  const home = { HOME: dir.path, TMPDIR: dir.path, npm_config_offline: "true", npm_config_update_notifier: "false" }
  /** npx starts what it found by a shell. */
  const withNode = { node: node!, sh: "/bin/sh" }
  const byNpx = (programs: Record<string, string>) =>
    run([node!, npx!, "--no-install", "sturdy", ...help], { ...home, PATH: pathOf(dir, programs) }, dir.path)

  beforeAll(() => {
    installPacked(dir.path)
    // As opencode is: a program that Bun compiled.
    const code = script(dir, "opencode.ts", `console.log(process.argv.includes("--version") ? "1.18.33" : "the TUI")`)
    const built = Bun.spawnSync([process.execPath, "build", "--compile", "--outfile", opencode, code], {
      cwd: dir.path,
    })
    expect(built.exitCode).toBe(0)
  }, run_ms)
  afterAll(() => dir[Symbol.asyncDispose]())

  test("runs by npx, with node and bun on PATH", async () => {
    expectHelp(await byNpx({ ...withNode, bun: process.execPath }))
  })

  test("runs by npx, with node and opencode on PATH and no bun", async () => {
    expectHelp(await byNpx({ ...withNode, opencode }))
  })

  test.skipIf(!existsSync(live_opencode))("runs by npx with the real opencode, where it is installed", async () => {
    expectHelp(await byNpx({ ...withNode, opencode: live_opencode }))
  })

  // Bun 1.3 takes what any other Bun of its revision has left in /tmp/bun-node-…, be it an opencode.
  test.skipIf(Bun.version.startsWith("1.3."))("runs by bunx, with bun on PATH and no node", async () => {
    const path = pathOf(dir, { bun: process.execPath, bunx: process.execPath })
    expectHelp(await run([join(path, "bunx"), "--no-install", "sturdy", ...help], { ...home, PATH: path }, dir.path))
  })

  test("runs by a bunx that is on no PATH, with node there", async () => {
    const env = { ...home, PATH: pathOf(dir, withNode) }
    expectHelp(await run([process.execPath, "x", "--no-install", "sturdy", ...help], env, dir.path))
  })

  test("runs by opencode as bun, with nothing on PATH", async () => {
    const env = { ...home, PATH: dir.file("nothing"), BUN_BE_BUN: "1" }
    expectHelp(await run([opencode, "node_modules/sturdy/src/cli/launcher.mjs", ...help], env, dir.path))
  })

  test("with node alone, says in one line what it looked for and where to get Bun", async () => {
    const ran = await byNpx(withNode)
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    for (const part of [oldest, "`bun` and `opencode` on PATH", "npm install -g bun", "https://bun.sh"])
      expect(ran.err).toContain(part)
  })

  test("names what it found and could not take, and starts none of it", async () => {
    const tui = `#!/bin/sh\necho started >> "${dir.file("mark")}"\nif [ "$1" = --version ]; then echo 2.0.0; fi\nexit 1\n`
    const path = pathOf(dir, {
      ...withNode,
      bun: bunThat(dir, "1.3.13", `echo started >> "${dir.file("mark")}"`),
      opencode: script(dir, "opencode-without-bun", tui.replace("echo started", 'echo "$@"')),
    })
    const ran = await run([node!, launcherIn(dir), ...help], { ...home, PATH: path }, dir.path)
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(ran.err).toContain(`${join(path, "bun")} is Bun 1.3.13; ${join(path, "opencode")} is no Bun`)
    expect(readFileSync(dir.file("mark"), "utf8")).toBe("--revision\n")
  })

  test("passes over a bun that is too old", async () => {
    const old = bunThat(dir, "1.2.9", "exit 1")
    const PATH = `${pathOf(dir, { ...withNode, bun: old })}:${pathOf(dir, { bun: process.execPath })}`
    expectHelp(await run([node!, launcherIn(dir), ...help], { ...home, PATH }, dir.path))
  })

  test("passes over npm's stub of bun, and takes the binary that lies beside it", async () => {
    const stub = dir.file("global/node_modules/bun/bin/bun.exe")
    const beside = dir.file(`global/node_modules/@oven/bun-${process.platform}-${process.arch}/bin`)
    for (const folder of [join(stub, ".."), beside]) mkdirSync(folder, { recursive: true })
    writeFileSync(stub, "#!/bin/sh\nexit 1\n", { mode: 0o755 })
    symlinkSync(process.execPath, join(beside, "bun"))
    expectHelp(await byNpx({ ...withNode, bun: stub }))
  })

  test("a signal reaches it through the script that older opencodes start with", async () => {
    const wrapper = `#!${node}\nrequire("child_process").spawnSync(${JSON.stringify(opencode)}, process.argv.slice(2), { stdio: "inherit" })\n`
    const path = pathOf(dir, { opencode: script(dir, "opencode.cjs", wrapper) })
    const serve = [node!, launcherIn(dir), "serve", "--json", "--data", dir.file("wrapped.db")]
    const child = start(serve, { ...home, PATH: path }, dir.path)
    await firstLine(child.stdout)
    child.kill("SIGTERM")
    expect(await child.exited).toBe(0)
  })
})

function launcherIn(dir: TempDir): string {
  return dir.file("node_modules/.bin/sturdy")
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const { value } = await stream.getReader().read()
  return new TextDecoder().decode(value).split("\n")[0]!
}

describe.skipIf(!node)("the launcher in Node", () => {
  const env = { PATH: "/usr/bin:/bin", STURDY_BUN: process.execPath }

  test("passes on arguments, standard input and the environment as they are", async () => {
    await using dir = tempDir()
    const bun = bunThat(dir, oldest, `shift; for each; do echo "<$each>"; done; echo "$WORD"; cat`)
    const child = Bun.spawn([node!, launcher, "a b", "", "--c=*"], {
      env: { ...env, STURDY_BUN: bun, WORD: "heard" },
      stdin: new Blob(["typed"]),
      stdout: "pipe",
    })
    expect(await new Response(child.stdout).text()).toBe("<a b>\n<>\n<--c=*>\nheard\ntyped")
  })

  test.each([0, 1, 2, 3])("ends with %d as the program does", async (code) => {
    await using dir = tempDir()
    const bun = bunThat(dir, oldest, `exit ${code}`)
    expect((await run([node!, launcher, "status"], { ...env, STURDY_BUN: bun })).code).toBe(code)
  })

  test.each(["SIGTERM", "SIGKILL", "SIGINT"] as const)("dies of %s as the program does", async (signal) => {
    await using dir = tempDir()
    const child = start([node!, launcher], {
      ...env,
      STURDY_BUN: bunThat(dir, oldest, `kill -${signal.slice(3)} $$`),
    })
    await child.exited
    expect(child.signalCode).toBe(signal)
  })

  test("takes no Bun older than package.json says", async () => {
    await using dir = tempDir()
    const [major, minor, patch] = oldest.split(".").map(Number)
    for (const version of [`${major}.${minor}.${patch! - 1}`, `${major}.${minor! - 1}.99`, `${major! - 1}.99.99`]) {
      const bun = bunThat(dir, version, "exit 0")
      const ran = await run([node!, launcher, ...help], { ...env, STURDY_BUN: bun })
      expect(ran.code).toBe(1)
      expectOneLine(ran)
      expect(ran.err).toContain(`STURDY_BUN names ${bun}, which is Bun ${version}`)
    }
    for (const version of [oldest, `${major}.${minor! + 1}.0-canary.1`, `${major! + 1}.0.0`])
      expect((await run([node!, launcher], { ...env, STURDY_BUN: bunThat(dir, version, "exit 7") })).code).toBe(7)
  })

  test("a STURDY_BUN that is not there is told, not passed over", async () => {
    const ran = await run([node!, launcher, ...help], { ...env, STURDY_BUN: "/nowhere/bun" })
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(ran.err).toContain("/nowhere/bun, which is no program")
  })

  test.each(["SIGINT", "SIGTERM"] as const)("%s ends serve with 0, and nothing is left behind", async (signal) => {
    await using dir = tempDir()
    const child = start([node!, launcher, "serve", "--json", "--data", dir.file("share.db")], env)
    const { url } = JSON.parse(await firstLine(child.stdout)) as { url: string }
    child.kill(signal)
    expect([await child.exited, await new Response(child.stderr).text()]).toEqual([0, ""])
    expect(await fetch(url).catch((error: Error) => error)).toBeInstanceOf(Error)
  })

  function inTerminal(command: string[], env: Record<string, string>) {
    const screen = { text: "" }
    const data = (_: Bun.Terminal, bytes: Uint8Array) => void (screen.text += new TextDecoder().decode(bytes))
    return { screen, child: Bun.spawn(command, { env, timeout: run_ms, terminal: { cols: 120, rows: 24, data } }) }
  }

  test("Ctrl-C in a terminal ends serve with 0", async () => {
    await using dir = tempDir()
    const { screen, child } = inTerminal([node!, launcher, "serve", "--data", dir.file("share.db")], env)
    await until(() => screen.text.includes("Ctrl-C") || child.exitCode !== null)
    child.terminal!.write("\u0003")
    expect([await child.exited, child.signalCode]).toEqual([0, null])
  })

  test("Ctrl-C in a terminal reaches the program once", async () => {
    await using dir = tempDir()
    const does = "trap 'echo heard' INT; echo ready; until read -r line; do :; done"
    const { screen, child } = inTerminal([node!, launcher], { ...env, STURDY_BUN: bunThat(dir, oldest, does) })
    await until(() => screen.text.includes("ready") || child.exitCode !== null)
    child.terminal!.write("\u0003")
    await until(() => screen.text.includes("heard") || child.exitCode !== null)
    child.terminal!.write("end\n")
    expect(await child.exited).toBe(0)
    expect(screen.text.match(/heard/g)).toHaveLength(1)
  })

  test("piped into something that stops reading, ops ends without a trace", async () => {
    await using dir = tempDir()
    const outbox = openOutbox(dir.file())
    outbox.pause()
    const ref = { service: "http://127.0.0.1:9", share_id: "share_of_the_test_0", secret: "secret_0123456789abcdef" }
    const notes = outbox.stream("notes", ref)
    for (let n = 0; n < 5_000; n++) notes.record({ method: "put", args: [n] })
    await outbox.close({ flush_ms: 0 })
    const line = `"${node}" "${launcher}" ops --db "${dir.file()}" --limit 5000 | head -1`
    const { out, err } = await run(["sh", "-c", line], env)
    expect(out.trimEnd().split("\n")).toHaveLength(1)
    expect(err).not.toContain("    at ")
    expect(err).not.toContain("EPIPE")
  })
})

test("in Bun, the program runs in the launcher's own process", async () => {
  await using dir = tempDir()
  // Whoever looked for another would start this one.
  const other = bunThat(dir, "9.9.9", "exit 9")
  expectHelp(await run([process.execPath, launcher, ...help], { PATH: "/nowhere", STURDY_BUN: other }))
})
