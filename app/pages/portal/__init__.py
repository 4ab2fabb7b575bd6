"""The portal, where contacts, partners and staff look at what they may see and write what they may write."""
