"""What is trained here goes out, and what others trained comes in: units, registries, the Hugging Face Hub.

The only place that asks the Hugging Face Hub anything beside loading data and backbones.
"""
