/**
 * A SQL expression that writes 16 bytes as the 26 characters of a ULID. SQLite has neither base32 nor hex-to-number;
 * `instr` on the hex digits does both. Each character takes 5 bits, so at most two hex digits.
 */
export function ulidText(column: string): string {
  const digit = (index: number) => `(instr('0123456789ABCDEF', substr(hex(${column}), ${index + 1}, 1)) - 1)`
  const character = (value: string) => `substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (${value}), 1)`
  // 26 × 5 = 130 bits: the first character holds only the top three of the 128.
  const characters = [character(`${digit(0)} >> 1`)]
  for (let i = 1; i < 26; i++) {
    const bit = 5 * i - 2
    const first = bit >> 2
    characters.push(character(`(${digit(first)} * 16 + ${digit(first + 1)}) >> ${3 - (bit & 3)} & 31`))
  }
  return characters.join(" || ")
}
