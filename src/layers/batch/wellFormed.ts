/**
 * Text as requests can carry it.
 */

/** Half a character, which no request can carry. */
const halves = /\p{Surrogate}/gu

export const wellFormed = (text: string): string => text.replace(halves, '\ufffd')
