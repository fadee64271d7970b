type Methods = Record<string, unknown>;

/**
 * Puts a function in the place of a method, on this object alone: other objects of its class go on as they are.
 *
 * @param make is given the method that was there, to be called with the same `this` and arguments.
 * @returns undoes it: the object looks as it did before. Where somebody has since put a function of his own over ours, that one
 *   stays, and ours goes on behind it: whoever makes it has to see to it that it then only passes on.
 */
export function replaceMethod<T extends (...args: never[]) => unknown>(
  target: object,
  name: string,
  make: (original: T) => T,
): () => void {
  const methods = target as Methods;
  const before = Object.getOwnPropertyDescriptor(target, name);
  const ours = make(methods[name] as T);
  // Not enumerable: an application that prints or copies its client sees what it always saw.
  Object.defineProperty(target, name, {
    value: ours,
    writable: true,
    configurable: true,
    enumerable: before?.enumerable ?? false,
  });
  return () => {
    if (methods[name] !== ours) return;
    if (before === undefined) delete methods[name];
    else Object.defineProperty(target, name, before);
  };
}
