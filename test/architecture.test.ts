/** Imports follow the arrows of ARCHITECTURE.md, "Map"; clocks, chance and network enter at the seams; files stay small. */
import { describe, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"

const root = join(import.meta.dir, "..")

/** What a folder of src may import of ours, beside itself: a folder, or one file. `.` is a file that lies in src. */
const arrows: Record<string, string[]> = {
  intent: [],
  store: ["intent"],
  wire: ["intent"],
  flusher: ["intent", "store", "wire", "inspect/event.ts"],
  inspect: ["intent", "store", "flusher/block.ts"],
  service: ["intent", "wire/contract.ts"],
  // What an adapter of somebody else's has too, and the seam of a wire protocol of its own.
  opencode: [
    "intent",
    "index.ts",
    "store/process-identity.ts",
    ...["contract", "endpoint", "json-exchange", "post", "protocol", "response", "transport"].map(
      (name) => `wire/${name}.ts`,
    ),
  ],
  ".": ["intent", "store", "wire", "flusher", "inspect", "."],
}
/** May import anything; nothing but themselves imports them. */
const edges = ["testing", "cli"]

/** Folders that alone may use a package. */
const fenced: Record<string, string[]> = {
  "bun:sqlite": ["store", "service", "inspect", "cli", "testing", "opencode/event-log.ts"],
  "drizzle-orm": ["store", "inspect"],
  capnweb: ["wire", "service", "intent/codec.ts", "testing"],
}

interface Import {
  file: string
  from: string
}

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name))
    .toSorted()
}

const text = (file: string) => readFileSync(join(root, file), "utf8")

/** Comments and the contents of strings do not count, the names of modules do. */
function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:"'`])\/\/.*$/gm, "$1")
}

/** `import`, `import type`, `export … from`, `import()` and `import("…").Type`, by the text: a transpiler drops types. */
function importsOf(source: string): string[] {
  const found = withoutComments(source).matchAll(/\b(?:from|import)\s*\(?\s*["']([^"']+)["']/g)
  return [...found].map((match) => match[1]!)
}

const sources = filesIn("src")
const imports: Import[] = sources.flatMap((file) => importsOf(text(file)).map((from) => ({ file, from })))

/** Place within src: folder/file.ts, or file.ts. */
const placeOf = (file: string) => relative("src", file)
const folderOf = (place: string) => (place.includes("/") ? place.split("/")[0]! : ".")

describe("the arrows", () => {
  test("are seen in every form of an import", () => {
    const source = `
      import { a } from "./a.ts"
      import type { B } from "./b.ts"
      import {
        c,
        type C,
      } from './c.ts'
      export type * from "./d.ts"
      import "./e.ts"
      const f = await import("./f.ts")
      type G = import("./g.ts").G
      // import { no } from "./comment.ts"
      /* import { no } from "./comment.ts" */
    `
    expect(importsOf(source)).toEqual("abcdefg".split("").map((name) => `./${name}.ts`))
  })

  test("hold: a folder imports only what it may", () => {
    const wrong = imports.filter(({ file, from }) => {
      if (!from.startsWith(".")) return false
      const here = folderOf(placeOf(file))
      const target = placeOf(relative(root, join(root, dirname(file), from)))
      const there = folderOf(target)
      // Embedded SQL lies outside of src.
      if (target.startsWith("../")) return !from.endsWith(".sql") && !edges.includes(here)
      if (here === there || edges.includes(here)) return false
      return !arrows[here]?.some((may) => may === there || may === target)
    })
    expect(wrong).toEqual([])
  })

  test("hold: nothing imports testing or cli but themselves", () => {
    const wrong = imports.filter(({ file, from }) => {
      const there = folderOf(placeOf(relative(root, join(root, dirname(file), from))))
      return from.startsWith(".") && edges.includes(there) && !edges.includes(folderOf(placeOf(file)))
    })
    expect(wrong).toEqual([])
  })

  test("name every folder of src", () => {
    const folders = new Set(sources.map((file) => folderOf(placeOf(file))))
    expect([...folders].filter((folder) => !arrows[folder] && !edges.includes(folder))).toEqual([])
  })

  test("fence SQLite and Cap'n Web into their folders", () => {
    const wrong = imports.filter(({ file, from }) => {
      const may = fenced[from.startsWith("drizzle-orm/") ? "drizzle-orm" : from]
      const place = placeOf(file)
      return may && !may.some((allowed) => allowed === place || allowed === folderOf(place))
    })
    expect(wrong).toEqual([])
  })

  test("lead to files that exist, with their extension", () => {
    const wrong = imports.filter(
      ({ file, from }) => from.startsWith(".") && !existsSync(join(root, dirname(file), from)),
    )
    expect(wrong).toEqual([])
  })
})

/** Uses of the real world that must enter at a seam, and the files that are the seams. */
const seams: [name: string, pattern: RegExp, files: string[]][] = [
  ["the wall clock", /\bDate\.now\b|\bnew Date\(\s*\)/, ["intent/system.ts"]],
  ["the monotonic clock", /\bperformance\.now\b|\bprocess\.hrtime\b|\bBun\.nanoseconds\b/, ["intent/system.ts"]],
  ["timers", /\b(setTimeout|setInterval)\b|\bBun\.sleep\b/, ["intent/system.ts"]],
  ["turns of the event loop", /\bsetImmediate\b/, ["intent/system.ts", "testing/manual-clock.ts"]],
  ["chance", /\bMath\.random\b|\bcrypto\.getRandomValues\b|\brandomUUID\b|\brandomBytes\b/, ["intent/system.ts"]],
  ["the network", /(?<![.\w#])fetch\((?!\w+: )/, ["wire/http.ts"]],
  [
    "sockets",
    /from "node:(net|tls|https?|http2|dgram)"/,
    ["wire/connections.ts", "testing/fault-proxy/peer.ts", "testing/fault-proxy/fault-proxy.ts"],
  ],
  ["ulid()", /(?<![.\w#])ulid\(/, []],
]

describe("outside of its seam nothing in src uses", () => {
  for (const [name, pattern, files] of seams)
    test(name, () => {
      const wrong = sources
        .filter((file) => !files.includes(placeOf(file)) && folderOf(placeOf(file)) !== "cli")
        .flatMap((file) =>
          withoutComments(text(file))
            .split("\n")
            .filter((line) => pattern.test(line))
            .map((line) => `${file}: ${line.trim()}`),
        )
      expect(wrong).toEqual([])
    })
})

test("no file of src has more than 300 lines", () => {
  const long = sources.map((file) => [file, text(file).split("\n").length - 1] as const).filter(([, n]) => n > 300)
  expect(long.map(([file]) => file)).toEqual([])
})

describe("tracked files", () => {
  const listed = Bun.spawnSync(["git", "ls-files", "-z"], { cwd: root })
  // A copy without git has nothing tracked: then what lies there is looked at, but for what npm brought.
  const tracked =
    listed.exitCode === 0
      ? listed.stdout.toString().split("\0").filter(Boolean)
      : readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => !/(^|\/)node_modules\//.test(name))
  const texts = tracked.filter((name) =>
    /\.(ts|mjs|js|json|toml|md|sql|c|sh|ya?ml)$|\/?\.[a-z]+(rc|ignore)$/.test(name),
  )
  const present = texts.filter((name) => existsSync(join(root, name)) && !name.includes("recordings/"))
  const lines = (pattern: RegExp) =>
    present.flatMap((name) => {
      const found = text(name).match(pattern)
      return found ? [`${name}: ${found[0]}`] : []
    })

  test("name no registry host", () => {
    // Put together here, so that this file does not name one itself.
    const hosts = ["registry.npm|js.org", "registry.yarn|pkg.com", "npm.pkg.git|hub.com"]
    const names = hosts.map((host) => host.replace("|", "").replaceAll(".", "\\."))
    expect(lines(new RegExp(`${names.join("|")}|https?://[^\\s"']*/(?:artifactory|nexus|verdaccio)\\b`))).toEqual([])
  })

  test("hold no absolute path of a machine", () => {
    expect(lines(new RegExp(`(?<![\\w.:/])/(?:${["home", "Users", "work", "root"].join("|")})/[\\w.-]+`))).toEqual([])
  })

  test("the lock files have no resolved: a mirror serves as well", () => {
    const locks = present.filter((name) => name.endsWith("package-lock.json"))
    expect(locks).toContain("package-lock.json")
    expect(locks.filter((name) => text(name).includes('"resolved"'))).toEqual([])
  })
})
