"""Do committed tables and figures follow from the committed scores?"""
