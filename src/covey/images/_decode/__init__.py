"""What decoding an image takes beyond Pillow: memory, color, depth, frames, previews, and files that lack a little."""
