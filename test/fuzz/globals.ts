/** What every module shares and no input may change: the global object and the built-in prototypes and constructors. */
const SHARED: readonly (readonly [name: string, shared: object])[] = [
  ['globalThis', globalThis],
  ...[
    Object,
    Function,
    Array,
    String,
    Number,
    Boolean,
    Symbol,
    BigInt,
    Date,
    RegExp,
    Promise,
    Map,
    Set,
  ].flatMap(nameBoth),
  ...[Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError].flatMap(nameBoth),
  ...[ArrayBuffer, Uint8Array, Buffer, DataView].flatMap(nameBoth),
  ['JSON', JSON],
  ['Math', Math],
  ['Reflect', Reflect],
];

function nameBoth(builtIn: { readonly name: string; readonly prototype: object }): [string, object][] {
  return [
    [builtIn.name, builtIn],
    [`${builtIn.name}.prototype`, builtIn.prototype],
  ];
}

type Properties = ReadonlyMap<PropertyKey, PropertyDescriptor>;

const propertiesOf = (shared: object): Properties =>
  new Map(
    Reflect.ownKeys(shared).map((key) => [
      key,
      Reflect.getOwnPropertyDescriptor(shared, key) as PropertyDescriptor,
    ]),
  );

export class GlobalsWatch {
  readonly #before = SHARED.map(([, shared]) => propertiesOf(shared));
  readonly #keyCounts = SHARED.map(([, shared]) => Reflect.ownKeys(shared).length);

  /** Cheap: whether there are as many properties as before. */
  hasSameCounts(): boolean {
    return SHARED.every(([, shared], i) => Reflect.ownKeys(shared).length === this.#keyCounts[i]);
  }

  /** Names of what has been added, changed or removed since. */
  changes(): string[] {
    return SHARED.flatMap(([name, shared], i) => {
      const before = this.#before[i] as Properties;
      const now = propertiesOf(shared);
      const keys = new Set([...before.keys(), ...now.keys()]);
      return [...keys]
        .filter((key) => !isSame(before.get(key), now.get(key)))
        .map((key) => `${name}.${String(key)}`);
    });
  }
}

const isSame = (a: PropertyDescriptor | undefined, b: PropertyDescriptor | undefined): boolean =>
  a !== undefined &&
  b !== undefined &&
  Object.is(a.value, b.value) &&
  a.get === b.get &&
  a.set === b.set &&
  a.writable === b.writable &&
  a.enumerable === b.enumerable &&
  a.configurable === b.configurable;
