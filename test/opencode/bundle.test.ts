/** `npm run bundle:opencode`: the plugin as one file, with everything that it needs in it. */
import { expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { tempDir } from "../temp-dir.ts"
import { scripts } from "../../package.json"
import { useInstalled } from "./installed.ts"

const root = join(import.meta.dir, "..", "..")

test("the bundled file is a plugin with one export, and shares, without node_modules", async () => {
  await using dir = tempDir()
  const [out, runner] = ["dist/sturdy-opencode.js", "exec sh script/bun.sh "]
  expect([scripts["bundle:opencode"].startsWith(runner), scripts["bundle:opencode"].endsWith(` ${out}`)]).toEqual([
    true,
    true,
  ])
  const file = dir.file("sturdy-opencode.js")
  const args = scripts["bundle:opencode"].slice(runner.length).replace(out, file).split(" ")
  const built = Bun.spawnSync([process.execPath, ...args], { cwd: root, stderr: "pipe", timeout: 60_000 })
  expect([built.exitCode, built.exitCode === 0 ? "" : built.stderr.toString()]).toEqual([0, ""])
  expect(readdirSync(dir.path)).toEqual(["sturdy-opencode.js"])

  const installed = await useInstalled(dir.path, file)
  const { import_ms: _ms, gateway, share, ...rest } = installed
  expect(rest).toEqual({
    exported: ["default"],
    id: "sturdy",
    names: ["id", "server"],
    said: [],
    shown: ["session", "message", "part"],
    service: rest.service,
  })
  expect(gateway).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{22}\/0$/)
  expect(share.url).toBe(`${rest.service}/share/${share.id}`)
})
