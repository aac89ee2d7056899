/** A host that links Sturdy, compiled by `bun build --compile`: one file that needs nothing of this checkout. */
import { expect, test } from "bun:test"
import { cpSync, mkdirSync, rmSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { serveShareService } from "../../src/service/bun.ts"
import { migrations } from "../../src/store/migration.gen.ts"
import { tempDir } from "../temp-dir.ts"

const root = join(import.meta.dir, "..", "..")
const build_ms = 60_000
const run_ms = 30_000

test(
  "a compiled host shares, records and flushes, with the sources, their packages and the migrations gone",
  async () => {
    await using dir = tempDir()
    await using service = serveShareService({ file: dir.file("share.db") })
    const [sources, alone] = [join(dir.path, "sources"), join(dir.path, "alone")]
    for (const folder of [sources, alone]) mkdirSync(folder)
    for (const name of ["src", "migration", "package.json"])
      cpSync(join(root, name), join(sources, name), { recursive: true })
    cpSync(join(import.meta.dir, "compiled-host-fixture.ts"), join(sources, "main.ts"))
    symlinkSync(join(root, "node_modules"), join(sources, "node_modules"))
    const binary = join(alone, "host")
    const build = [process.execPath, "build", "--compile", "--outfile", binary, "main.ts"]
    const built = Bun.spawnSync(build, { cwd: sources, stderr: "pipe", timeout: build_ms })
    expect([built.exitCode, built.exitCode === 0 ? "" : built.stderr.toString()]).toEqual([0, ""])
    rmSync(sources, { recursive: true })

    const child = Bun.spawn([binary, alone, service.url], {
      cwd: alone,
      env: { HOME: alone },
      stdout: "pipe",
      stderr: "pipe",
      timeout: run_ms,
    })
    const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
    expect([await child.exited, stderr]).toEqual([0, ""])
    const said = JSON.parse(stdout) as { id: string }
    expect(said).toEqual({
      id: expect.any(String),
      url: `${service.url}/share/${said.id}`,
      blocked: [],
      migrations: migrations.length,
      notes: { pending: 0, posts: 1 },
    } as never)
    const shown = (await (await fetch(`${service.url}/api/share/${said.id}/data`)).json()) as { type: string }[]
    expect(shown.map(({ type }) => type)).toEqual(["session", "message", "part"])
  },
  build_ms + run_ms,
)
