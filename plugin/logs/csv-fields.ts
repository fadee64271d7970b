const QUOTE = '"';

/**
 * The fields of one CSV record (RFC 4180): a field in quotes may hold delimiters, ends of line and doubled quotes.
 *
 * Ours and not `csv-parse`'s: that one walks over every byte, and cannot go on after a quote that is never closed.
 *
 * @returns null where a quote is not closed, or is followed by something else than a delimiter.
 */
export function splitFields(record: string, delimiter: string): string[] | null {
  if (!record.includes(QUOTE)) return record.split(delimiter);
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (record.startsWith(QUOTE, at)) {
      const end = closingQuote(record, at + 1);
      if (end === -1) return null;
      const inner = record.slice(at + 1, end);
      fields.push(inner.includes(QUOTE) ? inner.replaceAll('""', QUOTE) : inner);
      at = end + 1;
      if (at === record.length) return fields;
      if (!record.startsWith(delimiter, at)) return null;
    } else {
      const end = record.indexOf(delimiter, at);
      if (end === -1) {
        fields.push(record.slice(at));
        return fields;
      }
      fields.push(record.slice(at, end));
      at = end;
    }
    at += delimiter.length;
  }
}

/** The first quote from `at` on that is not one of a pair; -1 where there is none. */
function closingQuote(record: string, at: number): number {
  let quote = record.indexOf(QUOTE, at);
  while (quote !== -1 && record.startsWith(QUOTE, quote + 1)) quote = record.indexOf(QUOTE, quote + 2);
  return quote;
}

/** The delimiter of a header line: the one that yields most fields; a comma where none does. */
export function delimiterOf(header: string): string {
  const counts = [',', ';', '\t'].map((delimiter) => ({
    delimiter,
    count: splitFields(header, delimiter)?.length ?? 0,
  }));
  return counts.reduce((best, one) => (one.count > best.count ? one : best)).delimiter;
}
