/** `npm pack`: what is published has all that the plugin and the library need, and nothing of the tests. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { bin, exports } from "../../package.json"
import { migrations } from "../../src/store/migration.gen.ts"
import { tempDir } from "../temp-dir.ts"
import { useInstalled } from "./installed.ts"
import { installPacked, run } from "./package-forms.ts"

const npm = Bun.which("npm")

describe.skipIf(!npm)("the packed tarball", () => {
  const dir = tempDir()
  const package_folder = dir.file("node_modules/sturdy")
  let packed: string[] = []

  beforeAll(() => {
    packed = installPacked(dir.path)
  })
  afterAll(() => dir[Symbol.asyncDispose]())

  test("holds what exports and bin name, every migration, and no tests", () => {
    const named = [...Object.values(exports), ...Object.values(bin)].map((path) => path.replace("./", ""))
    const wanted = [
      ...named,
      ...migrations.map(({ name }) => `migration/${name}/migration.sql`),
      "LICENSE",
      "README.md",
    ]
    expect(wanted.filter((path) => !packed.includes(path))).toEqual([])
    const top = new Set(packed.map((path) => path.split("/")[0]))
    for (const none of ["test", "examples", "bench", "script", "dist", "node_modules"]) expect(top).not.toContain(none)
    expect(packed.filter((path) => /\.(db|tgz|test\.ts)$/.test(path))).toEqual([])
  })

  test("is a plugin by the name of its package, and shares", async () => {
    const installed = await useInstalled(dir.path, "sturdy/server")
    expect([installed.exported, installed.id]).toEqual([["default"], "sturdy"])
    expect(installed.shown).toEqual(["session", "message", "part"])
  })

  test("can be imported by each of its exports, with its dependencies alone", () => {
    const names = Object.keys(exports).map((path) => path.replace(".", "sturdy"))
    const code = `for (const name of ${JSON.stringify(names)}) console.log(name, Object.keys(await import(name)).length > 0)`
    const said = run([process.execPath, "-e", code], dir.path)
    expect(said.trim().split("\n")).toEqual(names.map((name) => `${name} true`))
  })

  test("has a command line that runs", () => {
    expect(existsSync(join(package_folder, bin.sturdy))).toBe(true)
    expect(run([process.execPath, join(package_folder, bin.sturdy), "--help"], dir.path)).toContain("sturdy")
  })
})
