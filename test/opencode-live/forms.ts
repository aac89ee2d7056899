/**
 * The plugin in each form in which it is installed, in the real opencode: `npm run test:opencode:forms`. One session that is
 * shared, one turn; everything must reach the service, and by the plugin: opencode's own client is sent to where nobody is.
 * Exit code 1 if anything is not as it must be; a form that cannot be had here is skipped, in one line.
 */
import { Database } from "bun:sqlite"
import { existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { bundleTo, packTo } from "../opencode/package-forms.ts"
import { tempDir } from "../temp-dir.ts"
import { seedAt } from "./box.ts"
import { installOpencode } from "./install.ts"
import { play } from "./play.ts"
import { openProvider } from "./provider.ts"
import { plugin, type Subject } from "./subject.ts"
import type { Lab, Trial } from "./trial.ts"

/** As opencode's configuration names the plugin, or why it cannot be had here. */
type Spec = string | { missing: string }

interface Form {
  name: string
  /** The folder is there to put things into. */
  spec(folder: string): Spec
}

const forms: readonly Form[] = [
  { name: "folder", spec: () => pathToFileURL(join(import.meta.dir, "..", "..")).href },
  { name: "bundle", spec: bundleSpec },
  { name: "tarball", spec: tarballSpec },
]
const nobody = "http://127.0.0.1:9"
const npm_ms = 60_000
/** opencode installs the tarball's dependencies first. */
const deadline_ms = 60_000

process.exit(await main())

async function main(): Promise<number> {
  const installed = installOpencode()
  if ("missing" in installed) return skipped(installed.missing)
  const { binary } = installed
  await using provider = openProvider()
  await using dir = tempDir()
  const seed = await seedAt(join(import.meta.dir, "node_modules", ".seed"), {
    binary,
    provider_url: provider.url,
    share_url: nobody,
    plugins: [`file://${join(import.meta.dir, "recorder-plugin.ts")}`],
  })
  if (!seed) return skipped("opencode cannot install its own @opencode-ai/plugin here")
  let code = 0
  for (const { name, spec } of forms) {
    const folder = dir.file(name)
    mkdirSync(folder)
    const found = spec(folder)
    if (typeof found !== "string") {
      skipped(`${name}: ${found.missing}`)
      continue
    }
    const { wrong, seconds } = await play({ binary, seed, provider, folder, subject: subjectOf(found) }, trialOf(name))
    console.log(`${name}, ${seconds} s: ${wrong.length === 0 ? "as it must be" : wrong.join(", ")}`)
    if (wrong.length > 0) code = 1
  }
  return code
}

function subjectOf(spec: string): Subject {
  return { ...plugin("rpc"), plugins: (service, options) => [[spec, { service, ...options }]] }
}

function trialOf(name: string): Trial {
  return {
    name,
    what: `the plugin as ${name}`,
    deadline_ms,
    started: false,
    async run(lab) {
      lab.usePlugin(true, nobody)
      await lab.start()
      const id = await lab.sharedSession()
      await lab.client.prompt(id, "[[bash echo one]]")
      expectOutbox(lab, id)
    },
  }
}

/** The plugin was there, and not opencode's own client alone. @throws Error */
function expectOutbox(lab: Lab, session_id: string): void {
  const file = join(lab.box.home, "data", "opencode", "sturdy", "outbox.db")
  if (!existsSync(file)) throw new Error("the plugin was not loaded: there is no outbox")
  using db = new Database(file, { readonly: true })
  const found = db.query("select 1 from sturdy_stream where name = ?").get(session_id)
  if (!found) throw new Error("the session is not shared by the plugin")
}

function bundleSpec(folder: string): string {
  const file = join(folder, "sturdy-opencode.js")
  bundleTo(file)
  return pathToFileURL(file).href
}

/** opencode brings its own npm, and the same registry: where ours has none of it, opencode's has not either. */
function tarballSpec(folder: string): Spec {
  if (!Bun.which("npm")) return { missing: "there is no npm" }
  const { tarball } = packTo(folder)
  const probe = join(folder, "probe")
  mkdirSync(probe)
  const env = { PATH: process.env.PATH, HOME: folder }
  const command = ["npm", "install", "--dry-run", "--no-audit", "--no-fund", "--loglevel=error", tarball]
  const { exitCode, stderr } = Bun.spawnSync(command, { cwd: probe, env, stderr: "pipe", timeout: npm_ms })
  if (exitCode === 0) return `sturdy@file:${tarball}`
  return { missing: `npm cannot install its dependencies: ${stderr.toString().split("\n")[0] || "no answer in time"}` }
}

function skipped(reason: string): number {
  console.log(`skipped: ${reason}`)
  return 0
}
