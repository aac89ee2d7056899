/** A sealed home and work folder for one opencode: nothing of the caller's leaks in, nothing leaks out. */
import { copyFileSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { runOnce } from "./process.ts"

export interface BoxOptions {
  binary: string
  path: string
  provider_url: string
  /** `enterprise.url` of opencode's configuration: where the built-in client shares to. */
  share_url: string
  /** Specs, as opencode's configuration takes them: `file://…`, or with options `["file://…", {…}]`. */
  plugins: readonly PluginSpec[]
  share?: "manual" | "auto"
  env?: Record<string, string>
}

export type PluginSpec = string | readonly [string, Record<string, unknown>]

export class Box {
  readonly home: string
  readonly work: string
  readonly env: Record<string, string>

  constructor(readonly options: BoxOptions) {
    this.home = join(options.path, "home")
    this.work = join(options.path, "work")
    for (const folder of [this.work, join(this.home, "tmp")]) mkdirSync(folder, { recursive: true })
    this.env = { ...sealedEnv(this.home), ...options.env }
    this.configure({})
    const git = (...args: string[]) => Bun.spawnSync(["git", ...identity, ...args], { cwd: this.work, env: this.env })
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "start")
  }

  get binary(): string {
    return this.options.binary
  }

  /** Writes opencode's configuration; it counts from the next start. */
  configure(changes: Partial<Pick<BoxOptions, "plugins" | "share" | "share_url">>): void {
    Object.assign(this.options, changes)
    const { options } = this
    const config = {
      $schema: "https://opencode.ai/config.json",
      autoupdate: false,
      share: options.share ?? "manual",
      enterprise: { url: options.share_url },
      model: "fake/fake",
      small_model: "fake/fake",
      enabled_providers: ["fake"],
      permission: { "*": "allow" },
      snapshot: true,
      lsp: false,
      formatter: false,
      plugin: options.plugins,
      provider: { fake: fakeProvider(options.provider_url) },
    }
    writeFileSync(join(this.work, "opencode.json"), JSON.stringify(config, null, 2))
  }

  /**
   * With a plugin, opencode first installs a package of its own into its configuration's folder, by npm, and waits for it
   * (5 s; 75 s where there is no registry). `seed`: a folder that holds one such installation, lent to every box.
   */
  lend(seed: string): void {
    const folder = configFolder(this.home)
    mkdirSync(folder, { recursive: true })
    for (const name of ["package.json", "package-lock.json"]) copyFileSync(join(seed, name), join(folder, name))
    symlinkSync(join(seed, "node_modules"), join(folder, "node_modules"))
  }
}

/** The folder to lend, in `path`, made by a first run there if it is missing; undefined if opencode cannot. */
export async function seedAt(path: string, options: Omit<BoxOptions, "path">): Promise<string | undefined> {
  const seed = configFolder(join(path, "home"))
  const installed = join(seed, "node_modules", "@opencode-ai", "plugin")
  if (existsSync(installed)) return seed
  rmSync(path, { recursive: true, force: true })
  await runOnce(new Box({ ...options, path }), ["run", "[[short]] hello"], { timeout_ms: 120_000 }).catch(() => {})
  return existsSync(installed) ? seed : undefined
}

const identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]

function configFolder(home: string): string {
  return join(home, "config", "opencode")
}

function sealedEnv(home: string): Record<string, string> {
  return {
    PATH: process.env.PATH ?? "",
    HOME: home,
    TMPDIR: join(home, "tmp"),
    XDG_DATA_HOME: join(home, "data"),
    XDG_CONFIG_HOME: join(home, "config"),
    XDG_STATE_HOME: join(home, "state"),
    XDG_CACHE_HOME: join(home, "cache"),
    TERM: "dumb",
    LANG: "C.UTF-8",
    // An empty catalogue, and nothing asked of models.dev.
    OPENCODE_DISABLE_MODELS_FETCH: "1",
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
    OPENCODE_DISABLE_DEFAULT_PLUGINS: "1",
  }
}

function fakeProvider(baseURL: string) {
  const limit = { context: 1_000_000, output: 32_000 }
  const model = { name: "Fake", reasoning: true, tool_call: true, limit, cost: { input: 1, output: 2 } }
  return {
    // Built into opencode: nothing is downloaded.
    npm: "@ai-sdk/openai-compatible",
    name: "Fake",
    options: { baseURL, apiKey: "none" },
    models: { fake: model },
  }
}
