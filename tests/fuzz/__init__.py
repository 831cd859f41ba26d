"""Every parser, fed what nobody would write: by coverage (atheris) where there is a wheel, else by hypothesis alone.

Laws of this package:
- A target is a function of bytes. It raises for what must never happen; every refusal the parser may give is caught.
- What stands behind a signature is fed too, past the signature: an issuer or head office may be the one who errs.
- `corpus/TARGET/` is kept, small and synthetic; the tests put every file of it through its target.
- A campaign first finds a planted crash; one that cannot find it proves nothing.
"""
