/** Writes zstd frames by hand: Node 20 can not, and one that is made here can be made wrong as well. */

const RAW_BLOCK = 0;
const RLE_BLOCK = 1;
const BLOCK_BYTES = 64 * 1024;

/** One frame of raw blocks. @see RFC 8878, 3.1.1 */
export function zstdFrame(content: Buffer, { windowLog = 17 }: { readonly windowLog?: number } = {}): Buffer {
  const parts: Buffer[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (windowLog - 10) << 3])];
  for (let at = 0; at === 0 || at < content.length; at += BLOCK_BYTES) {
    const block = content.subarray(at, at + BLOCK_BYTES);
    parts.push(blockHeader(RAW_BLOCK, block.length, at + BLOCK_BYTES >= content.length), block);
  }
  return Buffer.concat(parts);
}

/** One frame of one block: a byte, `count` times. */
export const zstdRepeated = (byte: number, count: number): Buffer =>
  Buffer.concat([
    Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 7 << 3]),
    blockHeader(RLE_BLOCK, count, true),
    Buffer.from([byte]),
  ]);

/** A frame that readers pass over. */
export function zstdSkippable(content: Buffer): Buffer {
  const header = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
  header.writeUInt32LE(content.length, 4);
  return Buffer.concat([header, content]);
}

function blockHeader(type: number, size: number, isLast: boolean): Buffer {
  const header = Buffer.alloc(3);
  header.writeUIntLE((size << 3) | (type << 1) | Number(isLast), 0, 3);
  return header;
}

/** 300 lines of JSON as `zstd -19` packs them, with a checksum: entropy-coded literals and matches, which no frame by hand has. */
export const ZSTD_SAMPLE = Buffer.from(
  'KLUv/WQRUnUtAEqFnA8ccE2h0AGQG0EIeaEQQP3+Jm6ZZJIyGSSX/11PBAkB6ADoALQ+wnh83LNTmGSmkHeliIqRIhR3xwPNDts1' +
    'J4Z0tLJPUDpPlMQ6QcNxYky7RMmzBD+rRF1GCaruDYeYG0K3jSCyEsJ+zDt02CJukEzJeDh8VjBphhO5JN0kg2RMjR/aIHSQroEV' +
    'ZDAF/aIpzcWK1yJnxmKN7Ofd+TTFeso5nlG0E0N5Jj7MSrSQdIn6rmjMZihXs4RGk8b7cDzzsCTrkO84rMcupOIsnECrsCYlMMYv' +
    'QwjdeOu2liArMvRjwkSHg+0GnYaM++KzpEozRAiXBKCCAQV4YAEEEixIYBDAoIABCBgIMJjggQUSODAIYMA10IABAwEGETCwAAEF' +
    'DhgEwIcAgwULIBDBgIJ2vZKIzEgSI7slTGfLHauFiKNlTvtIy/MIw6wjFWQcofpCE0HLW64iFBpFSrxXPjNXbFkrQh0r8dhDwjmH' +
    'vGgNcfAYIuOzIoRmCFGXrAZJIRkk9ENniA5S2w1DGjK4SPwieun6VLhVDSQr0P4G04/HuK8r4yvSnRoTMzUMV+pNI9Xk3ZXP7EbJ' +
    '6jJ0dCvEPiXSIxPkzrQep5TZpSUyS2m6SscxSkvc2zjNbbjX9jVj6yB7VEqHI8INCkEy/pLPsphmkBmXrIVkSQapfmhR0EHodMNM' +
    'ERncYL9o5ooSt4qiZIVp7A8Rzo+Yvis822Fcs0JIB7X7eCTmcYfrmKZxXPYuJppZPJdV3OooZoi9DoFzfXJbh8mKdPZwiMzhIF3D' +
    'nxjDNndaiGY67pVmzUhXyR6GQucwE26YBslglnyqmq6TjFs1I2SFuv4ZFPQjEN33J/Lisk8jYWhyyEoTStIf4btczh4RWj0djx56' +
    '9pmyzDNEXWfmMc60uMsw0CxTwasMDSlhQvxS2rkTEmsnCMfOh/YY23OM0KwxcRljwrtzXjFzHLhyhkgOyWjYD2WHlqq4YUhKBs+E' +
    'X1STrpPIrSoyWYE+/ukS+iGhbiPGS6BP8yCaAgBUMIi69znVzPMJss5bcswIX6iCtJxKq3zEo7wzex+WuQ/u2p9i7H3ucSma4xG8' +
    'xkOYMX7xWY7SDNJY+QpHnkN7oBrPgcizBhqSMVDfvYgVc1EV1yIKNBaN/VNi6EdU1lNox9MldiIPZyIxrURBHokCzW76ZTa5upom' +
    'xGgq/SmD6JEKuzPUGYdGZBfqdBaiYxUqcxQior3key5JzVqKIGMphO5BDzrsoBskpTEoxDspyMykj6wkckfSUOzBPedgFq3BVR6D' +
    'KcxeHqHrjbpVbIzlKv3zQvTDY/cVD3kJEp8mUGnyHy6RiyRdAgWDg6gSoBLTVQrDfgZy57CsARJAEDhB4FaBKhH2B+E8lzzonGbb' +
    'OYPtQKdpXhf/UGA4wsmoqJ0ibHSLnZtFUC0QVvjRSoSNf8VWJgzkISn8TA8XkfpmOOpTg+jwG4VlwlOduYhxv/hboStFXBtdcedm' +
    'nCTSacBg7E8u8cNPq+y00czUR3ZdiI+OJZ2OTWH0VuAfuyPSRhMOCTy2zIyb4lYmBOUhack39hVSQiqdo2zbRdoJ76LNmS/I4VyJ' +
    'Ip9gDc2cA/5m5EaTyWApiYWTPXTAnpshaC0ILf0VHJHA61Lb1CJbZuZs0RdtTqQmo5AkU5JQ9pzIg86vLAzuQWjiB041Km4W+lIB' +
    'OnaE4b4gPKCmXnjfSqewO1842MdeajpM3CyOW5lmnvA1CX7qXFN9YTBko8oHc+4MWanywEaM2KA7PWRuiZf4kVL+ttJU7M7r8CC9' +
    'D6hWKDr+DseR6ITGVplx04gH9UXQtI+t0OFvyG6VB7bGNaSOdU6x04Ym+uQGH6wkq5C2hq5NBZLdUOhzXwqqHQJ9dgjBzifj2qoL' +
    'gnRvgI0611SzI4v4QD+rQTvsTmKnjWb0RyhZg4AworUedkBrOtEGnJXojg==',
  'base64',
);
