/** Certificates for trying things out and for tests: an authority of one's own, and what it signs. */
import { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { type CertificateIdentity, peerUri } from '../../rpc/peer-certificate.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
/** Machines whose clocks are behind by less accept a certificate at once. */
const CLOCK_SLACK_MS = 5 * 60_000;

x509.cryptoProvider.set(webcrypto as unknown as Crypto);

/** PEM texts. */
export interface CertificateAndKey {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateTerm {
  /** Milliseconds since 1970. */
  readonly fromMs: number;
  readonly days: number;
}

/** An ECDSA P-256 authority that may sign nodes and nothing below. */
export async function makeAuthority(term: CertificateTerm): Promise<CertificateAndKey> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(term),
    name: 'CN=Foreshard development authority',
    keys,
    signingAlgorithm: ALGORITHM,
    serialNumber: newSerial(),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await pemOf(keys.privateKey) };
}

/** A certificate for one process, both as a client and as a server. */
export function signPeer(
  authority: CertificateAndKey,
  identity: CertificateIdentity,
  term: CertificateTerm,
): Promise<CertificateAndKey> {
  return sign(authority, term, {
    subject: `CN=foreshard ${identity.role} ${identity.nodeId}`,
    usages: [x509.ExtendedKeyUsage.clientAuth, x509.ExtendedKeyUsage.serverAuth],
    names: [{ type: 'url', value: peerUri(identity) }],
  });
}

interface Subject {
  readonly subject: string;
  readonly usages: readonly x509.ExtendedKeyUsage[];
  /** Subject alternative names. */
  readonly names: x509.JsonGeneralNames;
}

async function sign(
  authority: CertificateAndKey,
  term: CertificateTerm,
  { subject, usages, names }: Subject,
): Promise<CertificateAndKey> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    x509.PemConverter.decodeFirst(authority.key),
    ALGORITHM,
    false,
    ['sign'],
  );
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity(term),
    subject,
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey: signingKey as unknown as CryptoKey,
    signingAlgorithm: ALGORITHM,
    serialNumber: newSerial(),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([...usages]),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await pemOf(keys.privateKey) };
}

/** A certificate for the listener of clients: it names hosts and addresses, and no node, so that no peer takes it for one. */
export function signServer(
  authority: CertificateAndKey,
  names: readonly string[],
  term: CertificateTerm,
): Promise<CertificateAndKey> {
  return sign(authority, term, {
    subject: `CN=${names[0] ?? 'foreshard'}`,
    usages: [x509.ExtendedKeyUsage.serverAuth],
    names: names.map((name) => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name })),
  });
}

/** A certificate for a client that is asked for one (`security.clientAuthorityFile`). */
export function signClient(
  authority: CertificateAndKey,
  name: string,
  term: CertificateTerm,
): Promise<CertificateAndKey> {
  return sign(authority, term, {
    subject: `CN=foreshard client ${name}`,
    usages: [x509.ExtendedKeyUsage.clientAuth],
    names: [],
  });
}

const newKeys = (): Promise<CryptoKeyPair> =>
  webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as unknown as Promise<CryptoKeyPair>;

const pemOf = async (key: CryptoKey): Promise<string> =>
  x509.PemConverter.encode(
    await webcrypto.subtle.exportKey('pkcs8', key as unknown as webcrypto.CryptoKey),
    'PRIVATE KEY',
  );

/** 16 random bytes, positive. */
function newSerial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x01;
  return Buffer.from(bytes).toString('hex');
}

const validity = ({ fromMs, days }: CertificateTerm): { notBefore: Date; notAfter: Date } => ({
  notBefore: new Date(fromMs - CLOCK_SLACK_MS),
  notAfter: new Date(fromMs + days * DAY_MS),
});
