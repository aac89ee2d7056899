/** The plugin in a form in which it is installed: loaded, set up, used, and looked at from the service's side. */
import { join } from "node:path"
import { serveShareService } from "../../src/service/bun.ts"
import { tempDir } from "../temp-dir.ts"

const run_ms = 30_000

export interface Installed {
  exported: string[]
  id: string
  names: string[]
  gateway: string
  share: { id: string; url: string }
  said: unknown[]
  import_ms: number
  /** What the service shows of the share, in its order. */
  shown: string[]
  /** Where the service is. */
  service: string
}

/** `module`: what the plugin is imported by, from the folder. @throws Error with what it said, if it fails */
export async function useInstalled(folder: string, module: string): Promise<Installed> {
  await using dir = tempDir()
  await using service = serveShareService({ file: dir.file("share.db") })
  // Beside what it imports: a package's name is looked for from there.
  const fixture = join(folder, "plugin-fixture.ts")
  await Bun.write(fixture, Bun.file(join(import.meta.dir, "plugin-fixture.ts")))
  const child = Bun.spawn([process.execPath, fixture, module, service.url, dir.file("outbox.db")], {
    cwd: folder,
    env: { HOME: dir.path, PATH: process.env.PATH },
    stdout: "pipe",
    stderr: "pipe",
    timeout: run_ms,
  })
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  if ((await child.exited) !== 0 || stderr !== "") throw new Error(`the plugin failed: ${stdout}${stderr}`)
  const said = JSON.parse(stdout) as Omit<Installed, "shown" | "service">
  const items = (await (await fetch(`${service.url}/api/share/${said.share.id}/data`)).json()) as { type: string }[]
  return { ...said, shown: items.map(({ type }) => type), service: service.url }
}
