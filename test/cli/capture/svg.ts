/** A terminal's text with its colours as a picture: SGR sequences to SVG, one `<text>` per line. */

/** Of a plain dark terminal: the 8 colours, then the bright ones. */
const palette = [
  "#3b4048 #e06c75 #98c379 #e5c07b #61afef #c678dd #56b6c2 #abb2bf",
  "#7f848e #ff7b86 #b5e890 #ffd68a #7cc4ff #e08cf5 #6fd3df #ffffff",
].flatMap((half) => half.split(" "))
const paper = "#1e2127"
const ink = "#d0d4dc"
/** px: advance and line of a monospaced font of 14 px. */
const [advance, leading, margin] = [8.43, 19, 14]

const escape = "\u001b"
const sequence = new RegExp(`${escape}\\[([\\d;:]*)m|([^${escape}]+)`, "g")

interface Style {
  bold: boolean
  dim: boolean
  italic: boolean
  underline: boolean
  inverse: boolean
  front: string | undefined
  back: string | undefined
}

const plain: Style = {
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  inverse: false,
  front: undefined,
  back: undefined,
}

export function svgOf(coloured: string, width: number): string {
  const lines = coloured.split("\n")
  const size = { width: Math.ceil(width * advance + 2 * margin), height: lines.length * leading + 2 * margin }
  let style = plain
  const rows = lines.map((line, row) => {
    let column = 0
    const spans: string[] = []
    for (const [, codes, text] of line.matchAll(sequence)) {
      if (text === undefined) style = styled(style, codes!)
      else {
        spans.push(span(text, style, column, row))
        column += Bun.stringWidth(text)
      }
    }
    return spans.join("")
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${size.height}" font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">`,
    `<rect width="100%" height="100%" rx="6" fill="${paper}"/>`,
    ...rows.filter((row) => row !== ""),
    "</svg>\n",
  ].join("\n")
}

function span(text: string, style: Style, column: number, row: number): string {
  const [front, back] = style.inverse ? [style.back ?? paper, style.front ?? ink] : [style.front ?? ink, style.back]
  const [x, y] = [margin + column * advance, margin + row * leading]
  const length = Bun.stringWidth(text) * advance
  const behind = back ? `<rect x="${px(x)}" y="${y}" width="${px(length)}" height="${leading}" fill="${back}"/>` : ""
  if (text.trim() === "") return behind
  const look = [
    style.bold && ` font-weight="bold"`,
    style.dim && ` opacity="0.6"`,
    style.italic && ` font-style="italic"`,
    style.underline && ` text-decoration="underline"`,
  ]
  // `textLength`: columns stay columns, whatever font there is.
  return `${behind}<text x="${px(x)}" y="${y + 14}" fill="${front}" textLength="${px(length)}" xml:space="preserve"${look.filter(Boolean).join("")}>${Bun.escapeHTML(text)}</text>`
}

function styled(before: Style, codes: string): Style {
  const style = { ...before }
  const list = codes.split(/[;:]/).map(Number)
  for (let at = 0; at < list.length; at++) {
    const code = list[at]!
    if (code === 0) Object.assign(style, plain)
    else if (code === 1) style.bold = true
    else if (code === 2) style.dim = true
    else if (code === 3) style.italic = true
    else if (code === 4) style.underline = true
    else if (code === 7) style.inverse = true
    else if (code === 22) style.bold = style.dim = false
    else if (code === 23) style.italic = false
    else if (code === 24) style.underline = false
    else if (code === 27) style.inverse = false
    else if (code === 38 || code === 48) {
      const colour = list[at + 1] === 5 ? indexed(list[at + 2]!) : `rgb(${list.slice(at + 2, at + 5).join()})`
      style[code === 38 ? "front" : "back"] = colour
      at += list[at + 1] === 5 ? 2 : 4
    } else if (code === 39) style.front = undefined
    else if (code === 49) style.back = undefined
    else if (code >= 30 && code <= 37) style.front = palette[code - 30]
    else if (code >= 90 && code <= 97) style.front = palette[code - 82]
    else if (code >= 40 && code <= 47) style.back = palette[code - 40]
    else if (code >= 100 && code <= 107) style.back = palette[code - 92]
  }
  return style
}

/** Of the 256: 16 by name, a cube of 6 × 6 × 6, greys. */
function indexed(index: number): string {
  if (index < 16) return palette[index]!
  if (index >= 232) return `rgb(${Array.from({ length: 3 }, () => 8 + (index - 232) * 10).join()})`
  const parts = [36, 6, 1].map((step) => Math.floor((index - 16) / step) % 6)
  return `rgb(${parts.map((part) => (part === 0 ? 0 : 55 + part * 40)).join()})`
}

function px(value: number): string {
  return value.toFixed(1)
}
