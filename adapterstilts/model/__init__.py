"""The network: backbone, adapters, compositions, heads. Every call into `adapters`, made safe."""

from adapterstilts.model.quantized import import_bitsandbytes

import_bitsandbytes()
